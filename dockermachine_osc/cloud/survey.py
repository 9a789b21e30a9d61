# SPDX-License-Identifier: Apache-2.0
"""What a cloud offers for a new machine, asked once and side by side."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dockermachine_osc import errors, sidebyside
from dockermachine_osc.cloud import failures, groups, patience

if TYPE_CHECKING:
    from openstack.block_storage.v3.limits import (
        AbsoluteLimit as VolumeLimits,
    )
    from openstack.block_storage.v3.type import Type as VolumeType
    from openstack.compute.v2.availability_zone import AvailabilityZone
    from openstack.compute.v2.flavor import Flavor
    from openstack.compute.v2.keypair import Keypair
    from openstack.compute.v2.limits import AbsoluteLimits
    from openstack.compute.v2.server import Server
    from openstack.compute.v2.server_group import ServerGroup
    from openstack.connection import Connection
    from openstack.image.v2._proxy import Proxy as ImageProxy
    from openstack.image.v2.image import Image
    from openstack.network.v2.floating_ip import FloatingIP
    from openstack.network.v2.network import Network
    from openstack.network.v2.port import Port
    from openstack.network.v2.quota import QuotaDetails
    from openstack.network.v2.security_group import SecurityGroup
    from openstack.network.v2.subnet import Subnet

    from dockermachine_osc.request import CreateRequest

#: How a port says that it is a router's leg in a network, with plain, highly
#: available and distributed routers (neutron-lib, constants.py).
ROUTER_LEGS = (
    'network:router_interface',
    'network:ha_router_replicated_interface',
    'network:router_interface_distributed',
)
_UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
_IMAGES_A_PAGE = 1000
_MOST_AT_ONCE = 12
#: Characters of a filter, of the about 8000 that web servers take of a URL.
_LONGEST_PATTERN = 2000


@dataclasses.dataclass(frozen=True)
class Survey:
    """Answers of the cloud's APIs; None is what the cloud would not tell.

    ``exits`` has the external network of each router by the router's id.
    ``ports`` are those that the user may have named, ``taken`` those that
    have one of the fixed IPs asked for, on whatever network. ``assumed`` says
    that not all was asked that there is to know.
    """

    project_id: str
    images: tuple[Image, ...]
    flavors: tuple[Flavor, ...]
    networks: tuple[Network, ...]
    router_legs: tuple[Port, ...]
    namesakes: tuple[Server, ...]
    exits: Mapping[str, str] = dataclasses.field(default_factory=dict)
    limits: AbsoluteLimits | None = None
    quota: QuotaDetails | None = None
    groups: tuple[SecurityGroup, ...] = ()
    zones: tuple[AvailabilityZone, ...] = ()
    keypair: Keypair | None = None
    subnets: tuple[Subnet, ...] = ()
    ports: tuple[Port, ...] = ()
    taken: tuple[Port, ...] = ()
    floating_ip: FloatingIP | None = None
    addresses: tuple[FloatingIP, ...] = ()
    server_groups: tuple[ServerGroup, ...] = ()
    volume_types: tuple[VolumeType, ...] = ()
    volume_limits: VolumeLimits | None = None
    assumed: bool = False


_Question = Callable[[], Any]


def take(
    connection: Connection,
    requests: Sequence[CreateRequest],
    rules: Sequence[groups.Rules],
    flavors: tuple[Flavor, ...] = (),
    *,
    thorough: bool,
) -> Survey:
    """Ask what a create has to know, and change nothing.

    :param requests: one or more that differ in nothing but the name.
    :param rules: of which one may have its security group already; none if
        the user names the groups.
    :param flavors: as known, none if they are to be asked for.
    :param thorough: whether to ask for all of it. Otherwise the quotas are
        left out, and what follows from the rest unless the cloud is unusual.
    :raises CloudFailure: if an API refuses or cannot be reached.
    :raises NotFound: for a key pair, port or floating IP that is not there.
    """
    request, names = requests[0], [r.name for r in requests]
    compute = _compute_questions(connection, request, names)
    network = _network_questions(connection, request, rules)
    image = {'images': lambda: _images(connection, request.image)}
    further = _further_questions(connection)
    quick = not thorough and _is_simple(request)
    if quick and flavors:
        compute['flavors'] = lambda: flavors
    if not quick:
        network |= further
        compute |= _compute_quota(connection)
    services = [compute, network, image]
    if request.volume_sizes:
        services.append(_volume_questions(connection))
    project_id = connection.current_project_id or ''
    survey = Survey(project_id=project_id, **_ask(services))
    if not quick:
        return survey
    if exits := _assumed_exits(request, survey):
        return dataclasses.replace(survey, exits=exits, assumed=True)
    del further['quota']
    return dataclasses.replace(survey, **_ask([further]), assumed=True)


def _is_simple(request: CreateRequest) -> bool:
    """Tell whether it is for one interface with a new floating IP."""
    return (
        len(request.nics) <= 1
        and not any(nic.port or nic.fixed_ips for nic in request.nics)
        and not request.no_floating_ip
        and not request.floating_ip
        and not request.external_network
        and request.ip_version != 6
        and not request.volume_sizes
        # What fails is kept, so there is no second look.
        and not request.keep_on_failure
    )


def _assumed_exits(request: CreateRequest, survey: Survey) -> dict[str, str]:
    """Give where routers lead if that is clear without asking for them.

    There is one external network, and one with an IPv4 address of a router:
    that router leads there, or Neutron will say no.
    """
    external = [n.id for n in survey.networks if n.is_router_external]
    inner = {leg.network_id for leg in survey.router_legs}
    four = {leg.network_id for leg in survey.router_legs if _is_four(leg)}
    wanted = [nic.network for nic in request.nics]
    named = {
        n.id for n in survey.networks if n.id in wanted or n.name in wanted
    }
    if len(external) != 1 or inner != four or len(named or four) != 1:
        return {}
    if not (named or four) <= four:
        return {}
    return {str(leg.device_id): external[0] for leg in survey.router_legs}


def _is_four(leg: Port) -> bool:
    fixed = leg.fixed_ips or ()
    return any('.' in str(address.get('ip_address')) for address in fixed)


def _ask(services: Iterable[Mapping[str, _Question]]) -> dict[str, Any]:
    """Ask all questions at once, but each service's first one first.

    The first call to a service discovers its versions; side by side that
    discovery would be made many times over.
    """

    def ask_service(questions: Mapping[str, _Question]) -> dict[str, Any]:
        (first, question), *others = questions.items()
        answers = {first: patience.known_again(question)}
        jobs = {
            k: functools.partial(patience.known_again, q) for k, q in others
        }
        return answers | sidebyside.all_of(jobs, _MOST_AT_ONCE)

    each = {
        number: functools.partial(ask_service, questions)
        for number, questions in enumerate(services)
    }
    answers = sidebyside.all_of(each, len(each))
    return {k: v for found in answers.values() for k, v in found.items()}


def _compute_questions(
    connection: Connection, request: CreateRequest, names: Sequence[str]
) -> dict[str, _Question]:
    compute = connection.compute
    questions: dict[str, _Question] = {
        'namesakes': _listing(
            'look for servers of that name',
            lambda: _namesakes(connection, names),
        ),
        'flavors': _listing('list flavors', compute.flavors),
    }
    if request.availability_zone:
        questions['zones'] = _listing(
            'list availability zones', compute.availability_zones
        )
    if request.server_group:
        questions['server_groups'] = _listing(
            'list server groups', compute.server_groups
        )
    if request.key_name:
        questions['keypair'] = lambda: _keypair(connection, request.key_name)
    return questions


def _compute_quota(connection: Connection) -> dict[str, _Question]:
    compute = connection.compute
    return {'limits': _optional(lambda: compute.get_limits().absolute)}


def _namesakes(
    connection: Connection, names: Sequence[str]
) -> Iterator[Server]:
    # Nova takes the name for a regular expression, and ours need no escape
    # that would hide one: a dot stands for itself, too.
    pattern = '|'.join(names)
    narrowed: dict[str, Any] = (
        {'name': pattern} if len(pattern) <= _LONGEST_PATTERN else {}
    )
    for server in connection.compute.servers(details=True, **narrowed):
        if server.name in names:
            yield server


def _network_questions(
    connection: Connection,
    request: CreateRequest,
    rules: Sequence[groups.Rules],
) -> dict[str, _Question]:
    network = connection.network
    project_id = connection.current_project_id or ''
    questions: dict[str, _Question] = {
        'networks': _listing('list networks', network.networks),
        'router_legs': _listing(
            "list routers' ports",
            lambda: network.ports(device_owner=list(ROUTER_LEGS)),
        ),
    }
    if request.security_groups:
        questions['groups'] = _listing(
            'list security groups',
            lambda: network.security_groups(project_id=project_id),
        )
    elif rules:
        questions['groups'] = lambda: groups.find(connection, rules)
    if wanted := [nic.port for nic in request.nics if nic.port]:
        questions['ports'] = lambda: _ports(connection, wanted)
        questions['addresses'] = _listing(
            'list floating IPs', lambda: network.ips(project_id=project_id)
        )
    if fixed := [ip for nic in request.nics for ip in nic.fixed_ips]:
        questions['taken'] = _listing(
            'list ports',
            lambda: network.ports(
                fixed_ips=[f'ip_address={address}' for address in fixed]
            ),
        )
    if request.floating_ip:
        questions['floating_ip'] = lambda: _floating_ip(
            connection, request.floating_ip
        )
    return questions


def _further_questions(connection: Connection) -> dict[str, _Question]:
    network = connection.network
    project_id = connection.current_project_id or ''
    return {
        'subnets': _listing('list subnets', network.subnets),
        'exits': lambda: _exits(connection),
        'quota': _optional(
            lambda: network.get_quota(project_id, details=True)
        ),
    }


def _exits(connection: Connection) -> dict[str, str]:
    with failures.step('list routers'):
        return {
            router.id: router.external_gateway_info['network_id']
            for router in connection.network.routers()
            if router.external_gateway_info
        }


def _volume_questions(connection: Connection) -> dict[str, _Question]:
    with failures.step('look for the volume service'):
        if not connection.endpoint_for('block-storage'):
            raise errors.InvalidRequest(
                'This cloud has no volume service, which --boot-from-volume '
                'and --data-volume need',
                'See what it has: openstack catalog list',
            )
    volumes = connection.block_storage
    return {
        'volume_types': _listing('list volume types', volumes.types),
        'volume_limits': _optional(lambda: volumes.get_limits().absolute),
    }


def _listing(what: str, ask: Callable[[], Iterable[Any]]) -> _Question:
    def question() -> tuple[Any, ...]:
        with failures.step(what):
            return tuple(ask())

    return question


def _optional(ask: _Question) -> _Question:
    """Quotas are a courtesy: a cloud may keep them from its members."""

    def question() -> object:
        try:
            with failures.step('read the quota'):
                return ask()
        except failures.ApiError as error:
            if error.status in (403, 404):
                return None
            raise

    return question


def _images(connection: Connection, wanted: str) -> tuple[Image, ...]:
    """List the images of that name or id; all when none is wanted or there.

    All are what the error message offers instead of one that is not there.
    """
    with failures.step('list images'):
        images: ImageProxy = connection.image  # type: ignore[assignment]
        found: tuple[Image, ...] = ()
        if _UUID.fullmatch(wanted):
            image = images.find_image(wanted, ignore_missing=True)
            found = (image,) if image else ()
        elif wanted:
            found = tuple(images.images(name=wanted))
        return found or tuple(
            # One page: the SDK would ask for a second one to see that it
            # is empty.
            images.images(
                limit=_IMAGES_A_PAGE, status='active', paginated=False
            )
        )


def _keypair(connection: Connection, name: str) -> Keypair:
    with failures.step(f"look for key pair '{name}'"):
        found = connection.compute.find_keypair(name, ignore_missing=True)
    if found is None:
        raise errors.NotFound(
            f"Key pair '{name}' does not exist",
            'See those you have: openstack keypair list',
        )
    return found


def _ports(connection: Connection, wanted: Sequence[str]) -> tuple[Port, ...]:
    """List the ports of these names or ids: names need not be unique."""
    by_key = {
        'id': [w for w in wanted if _UUID.fullmatch(w)],
        'name': [w for w in wanted if not _UUID.fullmatch(w)],
    }
    with failures.step(f'look for port {", ".join(wanted)}'):
        return tuple(
            port
            for key, values in by_key.items()
            if values
            for port in connection.network.ports(**{key: values})
        )


def _floating_ip(connection: Connection, address: str) -> FloatingIP:
    with failures.step(f'look for floating IP {address}'):
        found = list(
            connection.network.ips(
                floating_ip_address=address,
                project_id=connection.current_project_id,
            )
        )
    if not found:
        raise errors.NotFound(
            f'Floating IP {address} is not allocated to this project',
            'See those that are free: openstack floating ip list '
            '--status DOWN',
        )
    return found[0]
