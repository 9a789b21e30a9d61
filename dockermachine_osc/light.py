# SPDX-License-Identifier: Apache-2.0
"""``docker-machine-osc``: the same commands, and ``env`` without a wait.

OpenStackClient takes a second to start, which is too long for a prompt. What
``env`` has answered before is answered here from a small file, as long as it
is still true; all else, and all doubt, is handed over to ``openstack``. So
there is no second way to do anything.

Docker runs the same program as its plugin: ``docker machine env web1``.

Imports little: tests/unit/test_light.py holds that.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockermachine_osc.environment import Variables

#: As what `docker` runs and lists us (cli-plugins/metadata, of docker/cli).
_METADATA = 'docker-cli-plugin-metadata'
_AS_PLUGIN, _PLUGIN = 'docker-machine', 'machine'
_OPENSTACK = ('openstack', 'docker', 'machine')


def main() -> None:
    """Do what the command line says."""
    words = sys.argv[1:]
    if words[:1] == [_METADATA]:
        from dockermachine_osc import dockerplugin

        sys.stdout.write(dockerplugin.metadata())
        return
    asks = words[:1] in (['__complete'], ['__completeNoDesc'])
    words = words[1:] if asks else words
    if os.path.basename(sys.argv[0]) == _AS_PLUGIN and _PLUGIN in words:
        # We are told our own name, behind options for docker itself.
        words = words[words.index(_PLUGIN) + 1 :]
    if asks or words[:1] == ['completion']:
        from dockermachine_osc import completion

        completion.run(words, asks=asks)
    elif words[:2] == ['plugin', 'install']:
        from dockermachine_osc import dockerplugin

        sys.stdout.write(dockerplugin.install())
    elif (text := _answer(words, os.environ)) is not None:
        sys.stdout.write(text)
    else:
        _hand_over(words)


def _hand_over(words: Sequence[str]) -> None:
    """Become `openstack`: the one beside our Python, else that on PATH."""
    command = [*_OPENSTACK, *words]
    beside = os.path.join(os.path.dirname(sys.executable), _OPENSTACK[0])
    program = beside if os.access(beside, os.X_OK) else _OPENSTACK[0]
    sys.stdout.flush()
    try:
        os.execvp(program, command)  # noqa: S606
    except OSError as error:
        sys.exit(
            f'{_OPENSTACK[0]}: {error.strerror}\n'
            'Install it beside this program: pip install '
            'python-openstackclient'
        )


# --------------------------------------------------------------------- env


def _answer(words: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """Give what ``env`` prints; None if only it can tell."""
    said = _understood(words)
    if said is None:
        return None
    from dockermachine_osc import shells

    shell = said['--shell'] or _shell(environ)
    variables = _variables(said, environ)
    if shell not in shells.SHELLS or variables is None:
        return None
    import shlex

    return shells.render(shell, variables, shlex.join([*_OPENSTACK, *words]))


def _understood(words: Sequence[str]) -> dict[str, str] | None:
    """Read the words of ``env``; None for all that is not plain."""
    said = dict.fromkeys(('--shell', '--os-cloud'), '')
    said |= dict.fromkeys(('--unset', '--no-proxy', 'machine'), '')
    if words[:1] != ['env']:
        return None
    rest = iter(words[1:])
    for word in rest:
        option, given, value = word.partition('=')
        if option in ('--shell', '--os-cloud'):
            said[option] = value if given else next(rest, '')
            if not said[option]:
                return None
        elif word in ('--unset', '--no-proxy'):
            said[word] = word
        elif word.startswith('-') or said['machine'] or not _is_name(word):
            return None
        else:
            said['machine'] = word
    # One or the other; what is wrong is told by the command itself.
    return said if bool(said['--unset']) != bool(said['machine']) else None


def _is_name(word: str) -> bool:
    return word.isascii() and word.replace('-', '').replace('.', '').isalnum()


def _shell(environ: Mapping[str, str]) -> str:
    from dockermachine_osc import shells

    try:
        with open(f'/proc/{os.getppid()}/comm', encoding='utf-8') as file:
            return shells.detect(environ, file.read().strip())
    except (OSError, ValueError):
        # No Linux: to find the process takes more than we may load.
        return ''


def _variables(
    said: Mapping[str, str], environ: Mapping[str, str]
) -> Variables | None:
    from dockermachine_osc import answers, environment, home

    if said['--unset']:
        variables: Variables | None = environment.unsetting()
    else:
        asked = answers.question(environ, said['--os-cloud'] or None)
        folder = home.root(environ)
        variables = answers.recall(folder, said['machine'], asked)
    if variables and said['--no-proxy']:
        variables.append(environment.proxy_exception(environ, variables))
    return variables
