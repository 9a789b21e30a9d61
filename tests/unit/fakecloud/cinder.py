# SPDX-License-Identifier: Apache-2.0
"""The Cinder of the fake cloud, which not every cloud has."""

_VERSION = {
    'id': 'v3.0',
    'status': 'CURRENT',
    'links': [{'rel': 'self', 'href': 'http://cinder.test/v3/'}],
    'version': '3.71',
    'min_version': '3.0',
}


class Cinder:
    """Answers for volume types and limits.

    :ivar volume_service: whether the cloud has one.
    :ivar volume_limits: most volumes, and most GiB of them.
    """

    volume_service = True
    volume_limits = (10, 1000)

    def _volume(self, request, path):
        kind = path.strip('/').split('/')[-1]
        if kind == 'types':
            types = list(self.things['volume_types'].values())
            return 200, {'volume_types': types}
        if kind == 'limits':
            count, size = self.volume_limits
            absolute = {'maxTotalVolumes': count, 'totalVolumesUsed': 1}
            absolute |= {'maxTotalVolumeGigabytes': size}
            absolute |= {'totalGigabytesUsed': 100}
            return 200, {'limits': {'rate': [], 'absolute': absolute}}
        return 300, {'versions': [_VERSION]}
