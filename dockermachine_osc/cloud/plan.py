# SPDX-License-Identifier: Apache-2.0
"""The plan of a machine: everything decided, nothing made yet."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

from dockermachine_osc import errors, record
from dockermachine_osc.cloud import choices, disks, failures, groups, quota
from dockermachine_osc.cloud.choices import Choice, Named

if TYPE_CHECKING:
    from openstack.compute.v2.availability_zone import AvailabilityZone
    from openstack.compute.v2.flavor import Flavor
    from openstack.image.v2.image import Image
    from openstack.network.v2.floating_ip import FloatingIP
    from openstack.network.v2.network import Network
    from openstack.network.v2.port import Port
    from openstack.network.v2.security_group import SecurityGroup

    from dockermachine_osc.cloud.survey import Survey
    from dockermachine_osc.request import CreateRequest

_R = TypeVar('_R', bound=Named)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a create will use.

    ``port`` and ``floating_ip`` are set if they exist already and stay the
    user's; ``external`` if a floating IP is to be made there; ``rules`` if a
    group of ours is to be used instead of ``named_groups``.
    """

    image: Choice[Image]
    flavor: Choice[Flavor]
    network: Choice[Network] | None
    network_id: str
    port: Port | None
    external: Network | None
    floating_ip: FloatingIP | None
    rules: groups.Rules | None
    named_groups: tuple[SecurityGroup, ...]
    known_groups: tuple[SecurityGroup, ...]
    login_user: str
    public_key: str
    server_group: str = ''

    def notes(self) -> Iterator[str]:
        """Say, a line each, what will be used and why."""
        yield _note('image', self.image)
        yield _note('flavor', self.flavor)
        if self.network:
            yield _note('network', self.network)
        yield f'address: {self._address_note()}'
        if self.rules:
            yield f'open: {self.rules}' + (
                ' (narrow it with --allow-cidr)'
                if groups.EVERYWHERE in self.rules.cidrs
                else ''
            )

    def _address_note(self) -> str:
        if self.floating_ip:
            address = self.floating_ip.floating_ip_address
            return f'floating IP {address}, as asked'
        if self.external:
            name = failures.plain(self.external.name)
            return f'a new floating IP from {name}'
        return "its network's own, without a floating IP"


def _note(label: str, choice: Choice[_R]) -> str:
    return f'{label}: {failures.plain(choice.resource.name)} ({choice.why})'


def make(request: CreateRequest, survey: Survey) -> Plan:
    """Decide everything and check the quota.

    :raises InvalidRequest: and below, whatever cannot work or is not clear.
    """
    _check_namesakes(request.name, survey)
    _check_zone(request.availability_zone, survey)
    image = choices.image(request.image, survey)
    disks.check(request, survey, image.resource)
    flavor = choices.flavor(
        request.flavor,
        survey,
        image.resource,
        volume=bool(request.boot_from_volume),
    )
    port = _port(request, survey)
    exits = _exits(request, survey, port)
    network = None
    if port:
        network_id = str(port.network_id)
    else:
        network = choices.network(request.network, survey, exits)
        network_id = str(network.resource.id)
    floating_ip = _floating_ip(request, survey, port)
    external = None
    if not floating_ip:
        external = _external(survey, exits, network_id)
    plan = Plan(
        image=image,
        flavor=flavor,
        network=network,
        network_id=network_id,
        port=port,
        external=external,
        floating_ip=floating_ip,
        rules=wanted_rules(request),
        named_groups=_named_groups(request, survey),
        known_groups=() if request.security_groups else survey.groups,
        login_user=request.ssh_user or choices.login_user(image.resource),
        public_key=survey.keypair.public_key if survey.keypair else '',
        server_group=_server_group(request, survey),
    )
    quota.check(survey, flavor.resource, _needs(plan), disks.sizes(request))
    return plan


def wanted_rules(request: CreateRequest) -> groups.Rules | None:
    """Give the rules of the machine's group; None if the user has groups."""
    if request.security_groups or request.port:
        return None
    return groups.Rules.of(
        request.allow_cidrs or (groups.EVERYWHERE,),
        (request.ssh_port, request.engine_port),
    )


def _needs(plan: Plan) -> dict[str, int]:
    rules = None if plan.known_groups else plan.rules
    return {
        'ports': 0 if plan.port else 1,
        'floating_ips': 1 if plan.external else 0,
        'security_groups': 1 if rules else 0,
        # Neutron itself adds one for each family that may go out.
        'security_group_rules': (
            2 + len(rules.cidrs) * len(rules.ports) if rules else 0
        ),
    }


def _check_namesakes(name: str, survey: Survey) -> None:
    if not survey.namesakes:
        return
    server = survey.namesakes[0]
    if record.is_machine(server.metadata or {}):
        what, way_out = (
            'Machine',
            (f'or delete it: openstack docker machine delete {name}'),
        )
    else:
        what, way_out = 'Server', 'it is not a machine of this tool'
    raise errors.NameTaken(
        f"{what} '{name}' exists already in this project: {server.id}",
        f'Choose another name, {way_out}',
    )


def _server_group(request: CreateRequest, survey: Survey) -> str:
    if not request.server_group:
        return ''
    found = choices.pick(
        'Server group', request.server_group, survey.server_groups
    )
    return str(found.resource.id)


def _check_zone(wanted: str, survey: Survey) -> None:
    zones = sorted({z.name for z in survey.zones if _is_available(z)})
    # A host of the zone may be named too, as in nova:host1 (zone:host:node).
    if wanted and wanted.partition(':')[0] not in zones:
        raise errors.NotFound(
            f"Availability zone '{failures.plain(wanted)}' does not exist. "
            'There is: ' + (', '.join(map(failures.plain, zones)) or 'none'),
        )


def _is_available(zone: AvailabilityZone) -> bool:
    return bool((zone.state or {}).get('available', True))


def _port(request: CreateRequest, survey: Survey) -> Port | None:
    if not request.port:
        return None
    port = choices.pick('Port', request.port, survey.ports).resource
    if port.device_id:
        raise errors.InvalidRequest(
            f"Port '{request.port}' is in use by {port.device_id}",
            'Choose one that is free: openstack port list',
        )
    return port


def _exits(
    request: CreateRequest, survey: Survey, port: Port | None
) -> set[str] | None:
    """Give the external networks to take an address from; None: take none."""
    if request.no_floating_ip:
        return None
    if survey.floating_ip:
        return {survey.floating_ip.floating_network_id}
    wanted, external = choices.external_network(
        request.external_network, survey
    )
    if request.external_network:
        return wanted
    ways = choices.gateways(survey)
    usable = {n for exits in ways.values() for n in exits} & set(external)
    if port and not ways.get(port.network_id):
        return None
    # A cloud without routers gives its servers addresses that can be reached
    # as they are.
    return usable or None


def _external(
    survey: Survey, exits: set[str] | None, network_id: str
) -> Network | None:
    """Choose where a new floating IP comes from."""
    if exits is None:
        return None
    reachable = choices.gateways(survey).get(network_id, set()) & exits
    found = [n for n in survey.networks if n.id in (reachable or exits)]
    if len(found) == 1:
        return found[0]
    raise errors.Ambiguous(
        'Which external network is the floating IP to come from?\n'
        + choices.listed(found, lambda n: ''),
        'Choose one with --external-network, or set docker_machine: '
        'external_network: in clouds.yaml',
    )


def _floating_ip(
    request: CreateRequest, survey: Survey, port: Port | None
) -> FloatingIP | None:
    """Give the floating IP that the user has named, or has on the port."""
    if request.no_floating_ip:
        return None
    found = survey.floating_ip
    for address in survey.addresses:
        if port and address.port_id == port.id:
            return _same(found, address)
    if found and found.port_id:
        raise errors.InvalidRequest(
            f'Floating IP {found.floating_ip_address} is in use: it belongs '
            f'to port {found.port_id}',
            'See those that are free: openstack floating ip list '
            '--status DOWN',
        )
    return found


def _same(wanted: FloatingIP | None, there: FloatingIP) -> FloatingIP:
    if wanted and wanted.id != there.id:
        raise errors.InvalidRequest(
            f'The port has floating IP {there.floating_ip_address} already',
            'Leave --floating-ip out to use that',
        )
    return there


def _named_groups(
    request: CreateRequest, survey: Survey
) -> tuple[SecurityGroup, ...]:
    return tuple(
        choices.pick('Security group', name, survey.groups).resource
        for name in request.security_groups
    )
