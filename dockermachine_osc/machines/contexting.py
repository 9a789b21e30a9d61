# SPDX-License-Identifier: Apache-2.0
"""The Docker context of a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockermachine_osc import contexts as docker_contexts
from dockermachine_osc import errors, store
from dockermachine_osc.machines.machine import endpoint_of, local_record

if TYPE_CHECKING:
    from dockermachine_osc.contexts import Contexts
    from dockermachine_osc.record import Record
    from dockermachine_osc.report import Steps
    from dockermachine_osc.store import MachineFolder


def write(
    contexts: Contexts, folder: MachineFolder, record: Record, context: str
) -> None:
    """Make a machine's context, or renew it, and remember its name.

    :raises InvalidRequest: if the machine has no address.
    :raises StoreFailure: if the name is somebody else's context.
    """
    if not record.address:
        # docker would take the engine of this very host for it.
        raise errors.InvalidRequest(
            f"The record of machine '{folder.name}' has no address",
            f'Let it be found: openstack docker machine provision '
            f'{folder.name}',
        )
    endpoint = endpoint_of(record, folder)
    certificates = {}
    if endpoint.cert_path:
        certificates = {
            'ca': folder.read(store.CA),
            'cert': folder.read(store.CERT),
            'key': folder.read(store.KEY),
        }
    contexts.write(
        context,
        endpoint.url,
        description=f'docker machine {folder.name}',
        machine_id=record.id,
        **certificates,
    )
    folder.save(local_record(folder) | {'context': context})


def refresh(contexts: Contexts, folder: MachineFolder, record: Record) -> None:
    """Bring new certificates or a new address into the context, if any."""
    context = name_of(folder)
    ours = context and contexts.owner(context) == record.id
    if ours and record.address:
        write(contexts, folder, record, context)


def remove(contexts: Contexts, folder: MachineFolder) -> bool:
    """Remove a machine's context; tell whether there was one."""
    known = local_record(folder)
    context = name_of(folder)
    if not context:
        return False
    removed = contexts.remove(context, str(known.get('id') or ''))
    folder.save(known | {'context': ''})
    return removed


def name_of(folder: MachineFolder) -> str:
    """Give the name of a machine's context, '' if it has none."""
    context = local_record(folder).get('context')
    return context if isinstance(context, str) else ''


def choose(contexts: Contexts, cloud: str, machine: str) -> tuple[str, str]:
    """Choose a name for a new context.

    :returns: the name, '' if none is to be had; and what to tell the user
        if it is not the machine's own name, else ''.
    """
    if docker_contexts.valid_name(machine) and not contexts.exists(machine):
        return machine, ''
    other = f'{cloud or "openstack"}-{machine}'
    if docker_contexts.valid_name(other) and not contexts.exists(other):
        return other, (
            f"Docker context '{machine}' is something else's and stays as it "
            f"is: this machine's is '{other}'"
        )
    return '', (
        f"Docker contexts '{machine}' and '{other}' are not to be had: none "
        'is made for this machine'
    )


def offer(
    contexts: Contexts,
    folder: MachineFolder,
    record: Record,
    cloud: str,
    steps: Steps,
) -> str:
    """Make a new machine's context; give its name, '' if none is to be had.

    The machine is ready and env works without: no reason to fail.
    """
    name, warning = choose(contexts, cloud, folder.name)
    if warning:
        steps.warn(warning)
    try:
        if name:
            write(contexts, folder, record, name)
    except errors.StoreFailure as error:
        steps.warn(f'No Docker context was made: {error}')
        return ''
    return name


def create(
    contexts: Contexts, folder: MachineFolder, record: Record, context: str
) -> str:
    """Make the context that was asked for, in place of the one it has.

    :raises InvalidRequest: if Docker takes no context of that name.
    :raises StoreFailure: if the name is somebody else's.
    """
    if not docker_contexts.valid_name(context):
        raise errors.InvalidRequest(
            f"'{context}' cannot be the name of a Docker context",
            'Use two or more letters, digits, and _ . + -',
        )
    before = name_of(folder)
    write(contexts, folder, record, context)
    if before and before != context:
        contexts.remove(before, record.id)
    return context
