# SPDX-License-Identifier: Apache-2.0
"""The files that this workstation would have of a stand-in's machines.

    python -m tests.benchmarks.keys AUTH_URL [ADDRESS PORT]...

A program of its own, so that it loads its libraries into no process that
measures: measure.Run.rss. All machines have one CA, and engines one
certificate, for 127.0.0.1, which is written to engine.pem and engine-key.pem
beside the store's own files.
"""

from __future__ import annotations

import sys

from dockermachine_osc import pki, store
from dockermachine_osc.cloud import servers
from dockermachine_osc.machines.machine import local_facts
from tests.benchmarks import standin

ENGINE, ENGINE_KEY = 'engine.pem', 'engine-key.pem'


def main() -> None:
    auth_url, *places = sys.argv[1:]
    authority = pki.Authority.create('benchmark')
    client = authority.client('benchmark')
    scope = store.Store().scope(auth_url, standin.REGION, standin.PROJECT)
    for number, place in enumerate(standin.places(places), 1):
        server = servers.from_nova(standin.server(number, *place))
        folder = scope.machine(server.name)
        folder.create()
        folder.write(store.CA, authority.certificate)
        folder.write(store.CERT, client.certificate)
        folder.write(store.KEY, client.key)
        folder.save(local_facts(server))
    issued = authority.server(['127.0.0.1'])
    (scope.root / ENGINE).write_bytes(issued.certificate)
    (scope.root / ENGINE_KEY).write_bytes(issued.key)


if __name__ == '__main__':
    main()
