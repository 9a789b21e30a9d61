# SPDX-License-Identifier: Apache-2.0
"""Completion of commands and machine names, for shells and for ``docker``.

Works without a network: the names are those of machines whose keys are on this
workstation.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from dockermachine_osc import answers, home, shells

_GROUP = 'openstack.docker_machine.v1'
_PREFIX = 'docker_machine_'
#: Commands that no machine of ours stands behind.
_WITHOUT_MACHINES = ('adopt', 'create', 'import', 'list', 'prune')
#: What cobra, which docker's completion is made of, takes for: no file names
#: (spf13/cobra, ShellCompDirectiveNoFileComp).
_NO_FILES = ':4'

_BASH = """\
_docker_machine_osc() {
    local IFS=$'\\n' first=1
    if [[ ${COMP_WORDS[0]##*/} == openstack ]]; then
        while ((first < COMP_CWORD)); do
            [[ ${COMP_WORDS[first]} == machine ]] && break
            ((first++))
        done
        if ((first++ == COMP_CWORD)); then
            COMPREPLY=()
            declare -F _openstack >/dev/null && IFS=$' \\t\\n' _openstack "$@"
            return
        fi
    fi
    COMPREPLY=($(docker-machine-osc __complete \\
        "${COMP_WORDS[@]:first:COMP_CWORD - first + 1}" 2>/dev/null |
        sed '/^:/d'))
}
complete -F _docker_machine_osc docker-machine-osc openstack
"""
_ZSH = """\
_docker_machine_osc() {
    local first=2
    if [[ ${words[1]:t} == openstack ]]; then
        first=$((${words[(i)machine]} + 1))
        if ((first > CURRENT)); then
            (( $+functions[_openstack] )) && _openstack "$@"
            return
        fi
    fi
    local -a found=("${(@f)$(docker-machine-osc __complete \\
        "${(@)words[first,CURRENT]}" 2>/dev/null | sed '/^:/d')}")
    compadd -- ${found:#}
}
compdef _docker_machine_osc docker-machine-osc openstack
"""
_FISH = """\
function __docker_machine_osc
    set -l words (commandline -opc) (commandline -ct)
    if string match -q '*openstack' -- $words[1]
        set -l at (contains -i -- machine $words); or return
        set words $words[$at..-1]
    end
    docker-machine-osc __complete $words[2..-1] 2>/dev/null \\
        | string match -v -r '^:'
end
complete -c docker-machine-osc -f -a '(__docker_machine_osc)'
complete -c openstack -f -n '__fish_seen_subcommand_from machine' \\
    -a '(__docker_machine_osc)'
"""
_SCRIPTS = {'bash': _BASH, 'zsh': _ZSH, 'fish': _FISH}


def run(words: Sequence[str], *, asks: bool) -> None:
    """Print what can stand at the end of the words, or a shell's script."""
    if asks:
        found = candidates(words, os.environ)
        sys.stdout.write('\n'.join([*found, _NO_FILES]) + '\n')
        return
    shell = words[1] if len(words) == 2 else ''
    if shell not in _SCRIPTS:
        sys.exit(f'Say for which shell: completion {"|".join(_SCRIPTS)}')
    sys.stdout.write(_SCRIPTS[shell])


def candidates(words: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Give what can stand in place of the last word, sorted."""
    *before, last = words or ['']
    found = _next(before, environ)
    return sorted({word for word in found if word.startswith(last)})


def _next(before: Sequence[str], environ: Mapping[str, str]) -> Iterable[str]:
    if before[-1:] == ['--shell']:
        return shells.SHELLS
    plain = [word for word in before if not word.startswith('-')]
    commands = [c for c in _commands() if c[: len(plain)] == plain]
    if commands:
        following = {c[len(plain)] for c in commands if len(c) > len(plain)}
        if following:
            return following
    if not plain or plain[0] in _WITHOUT_MACHINES:
        return ()
    return _names(environ)


def _commands() -> Iterator[list[str]]:
    for entry in importlib.metadata.entry_points(group=_GROUP):
        yield entry.name.removeprefix(_PREFIX).split('_')


def _names(environ: Mapping[str, str]) -> Iterator[str]:
    """Give the names of machines: of the project, if that is known, or all."""
    root = Path(home.root(environ))
    asked = answers.question(environ, None)
    scope = answers.recall_scope(root, asked)
    for folder in root.glob(f'scopes/{scope or "*"}/machines/*'):
        if folder.is_dir():
            yield folder.name
