# SPDX-License-Identifier: Apache-2.0
"""The plan of a machine: everything decided, nothing made yet."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from dockermachine_osc import errors, record
from dockermachine_osc.cloud import (
    choices,
    disks,
    failures,
    groups,
    interfaces,
    quota,
)
from dockermachine_osc.cloud.choices import Choice, Named

if TYPE_CHECKING:
    from openstack.compute.v2.availability_zone import AvailabilityZone
    from openstack.compute.v2.flavor import Flavor
    from openstack.image.v2.image import Image
    from openstack.network.v2.floating_ip import FloatingIP
    from openstack.network.v2.network import Network
    from openstack.network.v2.port import Port
    from openstack.network.v2.security_group import SecurityGroup

    from dockermachine_osc.cloud.interfaces import Interface
    from dockermachine_osc.cloud.survey import Survey
    from dockermachine_osc.request import CreateRequest

_R = TypeVar('_R', bound=Named)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a create will use.

    ``main`` is the one of the ``interfaces`` that has the machine's address,
    which is of ``ip_version``. ``floating_ip`` is set if it exists already
    and stays the user's; ``external`` if one is to be made there; ``rules``
    if a group of ours is to be used instead of ``named_groups``, and
    ``group`` is its id where several machines share it from the first.
    ``assumed`` says that the cloud may refuse for what was not asked.
    """

    image: Choice[Image]
    flavor: Choice[Flavor]
    interfaces: tuple[Interface, ...]
    main: Interface
    ip_version: int
    external: Network | None
    floating_ip: FloatingIP | None
    rules: groups.Rules | None
    named_groups: tuple[SecurityGroup, ...]
    known_groups: tuple[SecurityGroup, ...]
    login_user: str
    public_key: str
    server_group: str = ''
    group: str = ''
    assumed: bool = False

    @property
    def assumptions(self) -> tuple[str, int, str, str]:
        """What a closer look may correct; a plan's other choices follow.

        That is which way the machine is reached, and the flavor.
        """
        exit_ = str(self.external.id) if self.external else ''
        flavor = str(self.flavor.resource.id)
        return self.main.network_id, self.ip_version, exit_, flavor

    @property
    def port(self) -> Port | None:
        """The user's port that has the machine's address, if it is one."""
        return self.main.port

    @property
    def network(self) -> Choice[Network] | None:
        """The network of the machine's address, unless a port was named."""
        return self.main.network

    def notes(self) -> Iterator[str]:
        """Say, a line each, what will be used and why."""
        yield _note('image', self.image)
        yield _note('flavor', self.flavor)
        for interface in self.interfaces:
            if interface.network:
                yield _note('network', interface.network)
        yield f'address: {self._address_note()}'
        if self.rules:
            yield f'open: {self.rules}' + (
                ' (narrow it with --allow-cidr)'
                if {*groups.ANYWHERE.values()} & {*self.rules.cidrs}
                else ''
            )
        if interfaces.rivals(self.interfaces, self.ip_version):
            yield (
                'gateways: several of these networks name one, and the host '
                'may answer through the wrong one; if it is not reached, '
                'leave one: openstack subnet set --gateway none <subnet>'
            )

    def _address_note(self) -> str:
        if self.floating_ip:
            address = self.floating_ip.floating_ip_address
            return f'floating IP {address}, as asked'
        if self.external:
            name = failures.plain(self.external.name)
            return f'a new floating IP from {name}'
        own = f"its network's own, IPv{self.ip_version}"
        return f'{own}, without a floating IP'


def _note(label: str, choice: Choice[_R]) -> str:
    return f'{label}: {failures.plain(choice.resource.name)} ({choice.why})'


def make(requests: Sequence[CreateRequest], survey: Survey) -> Plan:
    """Decide everything and check the quota.

    :param requests: one or more that differ in nothing but the name: one
        plan serves them all.
    :raises InvalidRequest: and below, whatever cannot work or is not clear.
    """
    request = requests[0]
    _check_namesakes(survey)
    _check_zone(request.availability_zone, survey)
    image = choices.image(request.image, survey)
    disks.check(request, survey, image.resource)
    flavor = choices.flavor(
        request.flavor,
        survey,
        image.resource,
        volume=bool(request.boot_from_volume),
    )
    found, main, exits, version = _interfaces(request, survey)
    floating_ip = _floating_ip(request, survey, main.port)
    external = None
    if not floating_ip:
        external = _external(survey, exits, main.network_id)
    rules = wanted_rules(request, version, found)
    plan = Plan(
        image=image,
        flavor=flavor,
        interfaces=found,
        main=main,
        ip_version=version,
        external=external,
        floating_ip=floating_ip,
        rules=rules,
        named_groups=_named_groups(request, survey),
        known_groups=tuple(
            g for g in survey.groups if rules and g.name == rules.group_name
        ),
        login_user=request.ssh_user or choices.login_user(image.resource),
        public_key=survey.keypair.public_key if survey.keypair else '',
        server_group=_server_group(request, survey),
        assumed=survey.assumed,
    )
    quota.check(
        survey,
        flavor.resource,
        _needs(plan, len(requests)),
        request.volume_sizes * len(requests),
        len(requests),
    )
    return plan


def _interfaces(
    request: CreateRequest, survey: Survey
) -> tuple[tuple[Interface, ...], Interface, set[str] | None, int]:
    """Give the interfaces, the one with the address, its exits and version."""
    found = interfaces.named(request, survey)
    exits = _exits(request, survey, found)
    if not found:
        chosen = choices.network(survey, exits, request.ip_version)
        found = (interfaces.on(chosen, survey),)
    if exits is None:
        main, version = interfaces.with_fixed_ip(
            found, survey, request.ip_version
        )
        return found, main, None, version
    return found, _floating(found, survey, exits), exits, 4


def _floating(
    found: Sequence[Interface], survey: Survey, exits: set[str]
) -> Interface:
    """Choose the interface with the floating IP: one that has one, or can."""
    led = {address.port_id for address in survey.addresses}
    for interface in found:
        if interface.port and interface.port.id in led:
            return interface
    return interfaces.with_floating_ip(found, survey, exits)


def possible_rules(request: CreateRequest) -> tuple[groups.Rules, ...]:
    """Give the rules that the machine's group may come to have.

    None if the user has groups, or brings all ports.
    """
    if request.security_groups or request.only_own_ports:
        return ()
    ports = request.open_ports
    if request.allow_cidrs:
        return (groups.Rules.of(request.allow_cidrs, ports),)
    four, six = groups.ANYWHERE[4], groups.ANYWHERE[6]
    return tuple(
        groups.Rules.of(cidrs, ports)
        for cidrs in ((four,), (six,), (four, six))
    )


def wanted_rules(
    request: CreateRequest, version: int, found: Sequence[Interface]
) -> groups.Rules | None:
    """Give the rules of the machine's group; None if the user has groups.

    :param version: of the machine's address: no more than that is opened
        beyond IPv4, and IPv4 only where there is some.
    :raises InvalidRequest: if nobody could reach that address.
    """
    possible = possible_rules(request)
    if not possible:
        return None
    if request.allow_cidrs:
        _check_cidrs(request.allow_cidrs, version)
        return possible[0]
    four, six, both = possible
    if version == 4:
        return four
    return both if any(4 in i.versions for i in found) else six


def _check_cidrs(cidrs: Sequence[str], version: int) -> None:
    if any(groups.version_of(cidr) == version for cidr in cidrs):
        return
    raise errors.InvalidRequest(
        f"The machine's address is IPv{version}, and --allow-cidr names no "
        f'IPv{version} network: nobody could reach it',
        f'Add one, or everywhere: --allow-cidr {groups.ANYWHERE[version]}',
    )


def _needs(plan: Plan, machines: int) -> dict[str, int]:
    rules = None if plan.known_groups else plan.rules
    return {
        'ports': machines * sum(i.port is None for i in plan.interfaces),
        'floating_ips': machines if plan.external else 0,
        'security_groups': 1 if rules else 0,
        # Neutron itself adds one for each family that may go out.
        'security_group_rules': (
            2 + len(rules.cidrs) * len(rules.ports) if rules else 0
        ),
    }


def _check_namesakes(survey: Survey) -> None:
    if not survey.namesakes:
        return
    server = survey.namesakes[0]
    name = failures.plain(server.name)
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


def _exits(
    request: CreateRequest, survey: Survey, found: Sequence[Interface]
) -> set[str] | None:
    """Give the external networks to take an address from; None: take none."""
    if request.no_floating_ip or request.ip_version == 6:
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
    if found and not interfaces.can_float(found, survey):
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
    if request.no_floating_ip or request.ip_version == 6:
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
