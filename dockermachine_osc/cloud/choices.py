# SPDX-License-Identifier: Apache-2.0
"""One sensible choice, or the list of choices: decided without any I/O.

Every function takes what the user said ('' for nothing) and what the cloud
has, and returns a :class:`Choice`, or raises with the choices named.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from dockermachine_osc import errors
from dockermachine_osc.cloud import failures

if TYPE_CHECKING:
    from openstack.compute.v2.flavor import Flavor
    from openstack.image.v2.image import Image
    from openstack.network.v2.network import Network

    from dockermachine_osc.cloud.survey import Survey

#: What an engine with a few containers needs, MiB and GiB.
LEAST_RAM, LEAST_DISK = 1024, 8
_SHOWN = 20

#: os_distro of images (Glance's common image properties) that the engine's
#: set-up knows, and the user that each one's cloud-init makes.
LOGIN_USERS = {
    'almalinux': 'almalinux',
    'centos': 'cloud-user',
    'debian': 'debian',
    'fedora': 'fedora',
    'flatcar': 'core',
    'ol': 'cloud-user',
    'opensuse': 'opensuse',
    'rhel': 'cloud-user',
    'rocky': 'rocky',
    'sles': 'sles',
    'ubuntu': 'ubuntu',
}


class Named(Protocol):
    """What all resources have."""

    id: str
    name: str


_R = TypeVar('_R', bound=Named)


@dataclasses.dataclass(frozen=True)
class Choice(Generic[_R]):
    """A resource and, for the person who reads along, why it was taken."""

    resource: _R
    why: str


def listed(resources: Iterable[Named], detail: Callable[..., str]) -> str:
    """Give one indented line a resource: name, id, and some detail."""
    rows = sorted(resources, key=lambda r: (failures.plain(r.name), r.id))
    lines = [
        f'  {failures.plain(r.name)}  {r.id}  {detail(r)}'.rstrip()
        for r in rows[:_SHOWN]
    ]
    if len(rows) > _SHOWN:
        lines.append(f'  ... and {len(rows) - _SHOWN} more')
    return '\n'.join(lines) or '  (none)'


def pick(
    kind: str,
    wanted: str,
    resources: Sequence[_R],
    detail: Callable[[_R], str] = lambda r: '',
) -> Choice[_R]:
    """Find what the user named by id or name.

    :raises NotFound: when nothing fits; lists what there is.
    :raises Ambiguous: when several have that name; lists their ids.
    """
    found = [r for r in resources if r.id == wanted] or [
        r for r in resources if r.name == wanted
    ]
    if not found:
        raise errors.NotFound(
            f"{kind} '{wanted}' does not exist. There is:\n"
            + listed(resources, detail)
        )
    if len(found) > 1:
        raise errors.Ambiguous(
            f"{len(found)} {kind.lower()}s are named '{wanted}':\n"
            + listed(found, detail),
            'Give the id instead of the name',
        )
    return Choice(found[0], 'as asked')


# ------------------------------------------------------------------- image


def image(wanted: str, survey: Survey) -> Choice[Image]:
    """Choose the image, by default the newest release of the one distribution.

    :raises InvalidRequest: if the image cannot be booted.
    :raises Ambiguous: if images of several distributions could serve.
    """
    if wanted:
        choice = pick('Image', wanted, survey.images, _image_detail)
        _check_image(choice.resource)
        return choice
    usable = [i for i in survey.images if _serves(i)]
    if len(usable) == 1:
        return Choice(usable[0], 'the only image that can serve')
    newest = _newest(usable)
    if len(newest) == 1:
        distribution = str(newest[0].os_distro).capitalize()
        return Choice(newest[0], f'the newest {distribution} image')
    raise errors.Ambiguous(
        'Which image? These could serve:\n' + listed(usable, _image_detail)
        if usable
        else 'No image here says that it can serve: none is active and has '
        'os_distro set to one of ' + ', '.join(sorted(LOGIN_USERS)),
        'Choose one with --image, or set docker_machine: image: in '
        'clouds.yaml. All images: openstack image list',
    )


def _serves(candidate: Image) -> bool:
    return candidate.status == 'active' and candidate.os_distro in LOGIN_USERS


def _newest(images: Sequence[Image]) -> list[Image]:
    """Give the images of the newest release, if all are one distribution."""
    if len({i.os_distro for i in images}) != 1:
        return []
    newest = max(_release(i) for i in images)
    return [i for i in images if _release(i) == newest]


def _release(candidate: Image) -> tuple[int, ...]:
    return tuple(
        int(n) for n in re.findall(r'\d{1,6}', str(candidate.os_version))
    )


def _check_image(candidate: Image) -> None:
    name = failures.plain(candidate.name)
    if candidate.status != 'active':
        raise errors.InvalidRequest(
            f"Image '{name}' is {failures.plain(candidate.status)}, "
            'not active: no server can be made from it'
        )
    if str(candidate.os_type).lower() == 'windows':
        raise errors.InvalidRequest(
            f"Image '{name}' is Windows; a machine needs Linux"
        )


def _image_detail(candidate: Image) -> str:
    release = f'{candidate.os_distro or ""} {candidate.os_version or ""}'
    return failures.plain(release)


def login_user(candidate: Image) -> str:
    """Guess whom cloud-init gives the key to; '' if the image won't tell."""
    named = str(candidate.os_admin_user or '')
    if re.fullmatch(r'[a-z_][a-z0-9_-]{0,31}', named):
        return named
    return LOGIN_USERS.get(str(candidate.os_distro or ''), '')


# ------------------------------------------------------------------ flavor


def flavor(
    wanted: str, survey: Survey, boot: Image, *, volume: bool = False
) -> Choice[Flavor]:
    """Choose the flavor, by default the smallest that holds image and engine.

    :param volume: whether the root disk is a volume, and not the flavor's.

    :raises InvalidRequest: if the flavor named is below the image's minimum.
    :raises NotFound: if the flavor named, or any that fits, is not there.
    """
    if wanted:
        choice = pick('Flavor', wanted, survey.flavors, _flavor_detail)
        _check_flavor(choice.resource, boot, volume=volume)
        return choice
    ram = max(LEAST_RAM, int(boot.min_ram or 0))
    disk = 0 if volume else max(LEAST_DISK, int(boot.min_disk or 0))
    fitting = [
        f
        for f in survey.flavors
        if f.ram >= ram and f.disk >= disk and not f.is_disabled
    ]
    if not fitting:
        raise errors.NotFound(
            f'No flavor here has {ram} MiB of memory and {disk} GiB of disk '
            'or more. There is:\n' + listed(survey.flavors, _flavor_detail),
            'Choose one with --flavor',
        )
    smallest = min(fitting, key=lambda f: (f.ram, f.vcpus, f.disk, f.name))
    return Choice(smallest, f'the smallest with {ram} MiB and {disk} GiB')


def _flavor_detail(candidate: Flavor) -> str:
    return f'{candidate.vcpus} VCPU, {candidate.ram} MiB, {candidate.disk} GiB'


def _check_flavor(candidate: Flavor, boot: Image, *, volume: bool) -> None:
    # A disk of 0 means: as large as the image (Nova's flavor reference).
    lacks = []
    if candidate.ram < (boot.min_ram or 0):
        lacks.append(f'{boot.min_ram} MiB of memory, it has {candidate.ram}')
    disk = 0 if volume else candidate.disk
    if disk and disk < (boot.min_disk or 0):
        lacks.append(f'{boot.min_disk} GiB of disk, it has {candidate.disk}')
    if lacks:
        raise errors.InvalidRequest(
            f"Flavor '{failures.plain(candidate.name)}' is too small for "
            f"image '{failures.plain(boot.name)}', which needs "
            + ' and '.join(lacks),
            'Choose a larger one with --flavor: openstack flavor list',
        )


# ----------------------------------------------------------------- network


def gateways(survey: Survey) -> dict[str, set[str]]:
    """Map each network's id to the external networks it has a way out to."""
    found: dict[str, set[str]] = {}
    for leg in survey.router_legs:
        if exit_ := survey.exits.get(str(leg.device_id)):
            found.setdefault(leg.network_id, set()).add(exit_)
    return found


def network(
    survey: Survey, external: set[str] | None, version: int | None = None
) -> Choice[Network]:
    """Choose the network of a machine of which none is named.

    :param external: ids of the external networks that it should have a way
        out to, or None if the machine gets no floating IP.
    :param version: of IP, None for any.
    :raises Ambiguous: if several networks could serve.
    :raises NotFound: if none can.
    """
    inner = [
        n
        for n in survey.networks
        if n.subnet_ids and _attachable(n, survey.project_id)
    ]
    if external is not None:
        ways = gateways(survey)
        inner = [n for n in inner if ways.get(n.id, set()) & external]
        version = 4
    if version:
        inner = [n for n in inner if version in _versions(n, survey)]
    if len(inner) == 1:
        why = 'the only one' + (' with a way out' if external else '')
        return Choice(inner[0], why)
    if inner:
        raise errors.Ambiguous(
            'Which network? These could serve:\n'
            + listed(inner, _network_detail),
            'Choose one with --network, or set docker_machine: network: in '
            'clouds.yaml',
        )
    raise _no_network(survey, version, floating=external is not None)


def pick_network(wanted: str, survey: Survey) -> Choice[Network]:
    """Find the network that the user named."""
    return pick('Network', wanted, survey.networks, _network_detail)


def _versions(candidate: Network, survey: Survey) -> set[int]:
    """Give the versions of IP of a network; all where it does not show."""
    found = {
        s.ip_version for s in survey.subnets if s.network_id == candidate.id
    }
    return found or {4, 6}


def _attachable(candidate: Network, project_id: str) -> bool:
    # An admin sees everybody's networks.
    own = candidate.project_id == project_id
    return bool(candidate.is_shared) or (
        own and not candidate.is_router_external
    )


def leads_out(network_id: str, survey: Survey, external: set[str]) -> bool:
    """Tell whether a network has, or may have, a way out to one of these.

    The router of a network that another project shares may be out of sight:
    then only Neutron can tell.
    """
    seen = [n for n in survey.networks if n.id == network_id]
    foreign = not seen or seen[0].project_id != survey.project_id
    return foreign or bool(gateways(survey).get(network_id, set()) & external)


def no_way_out(network_id: str, survey: Survey) -> errors.InvalidRequest:
    """Give the error for a network that was named and has no way out."""
    (chosen,) = (n for n in survey.networks if n.id == network_id)
    return errors.InvalidRequest(
        f"Network '{failures.plain(chosen.name)}' has no router to the "
        'external network, so it can have no floating IP',
        f'Join it: openstack router add subnet <router> '
        f'{chosen.subnet_ids[0] if chosen.subnet_ids else "<subnet>"}, or '
        'use its own addresses: --no-floating-ip',
    )


def _no_network(
    survey: Survey, version: int | None, *, floating: bool
) -> errors.NotFound:
    what = 'No network here has a router to an external network'
    if not floating:
        what = 'This project has no network'
        what += f' with an IPv{version} subnet' if version else ''
    return errors.NotFound(
        f'{what}. There is:\n' + listed(survey.networks, _network_detail),
        'Choose one with --network, with its own addresses if you can reach '
        'them: --no-floating-ip',
    )


def _network_detail(candidate: Network) -> str:
    words = []
    if candidate.is_router_external:
        words.append('external')
    if candidate.is_shared:
        words.append('shared')
    if not candidate.subnet_ids:
        words.append('no subnet')
    return ', '.join(words)


def external_network(
    wanted: str, survey: Survey
) -> tuple[set[str], dict[str, Network]]:
    """Give the ids that floating IPs may come from, and all external ones."""
    external = {n.id: n for n in survey.networks if n.is_router_external}
    if not wanted:
        return set(external), external
    choice = pick(
        'External network', wanted, list(external.values()), _network_detail
    )
    return {choice.resource.id}, external
