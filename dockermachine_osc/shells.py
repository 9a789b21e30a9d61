# SPDX-License-Identifier: Apache-2.0
"""Environment variables in the words of each shell, for ``env``.

Names, order and quoting are those of Docker Machine, which scripts parse;
only what its words would break on is written in another way. Whatever a
value holds, evaluating the text sets that value and does nothing else.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PureWindowsPath

from dockermachine_osc.errors import InvalidRequest

SHELLS = (
    'sh',
    'bash',
    'zsh',
    'ksh',
    'dash',
    'fish',
    'tcsh',
    'csh',
    'powershell',
    'pwsh',
    'cmd',
    'emacs',
)
#: Other names that the process of a shell may have.
_ALIASES = {
    'ash': 'sh',
    'busybox': 'sh',
    'ksh93': 'ksh',
    'mksh': 'ksh',
    'pdksh': 'ksh',
    'rbash': 'bash',
}
_VARIABLE = re.compile('[A-Za-z_][A-Za-z0-9_]*')
_HINT = 'Run this command to configure your shell: '


@dataclasses.dataclass(frozen=True)
class _Dialect:
    """How a shell says it: format strings, and how it escapes a value."""

    assign: str
    unset: str
    comment: str
    usage: str
    escape: Callable[[str], str]
    escape_usage: Callable[[str], str] = str


def detect(environ: Mapping[str, str], parent: str = '') -> str:
    """Guess the shell that will read our output.

    :param parent: the name of the parent process if it is known; it is
        better than $SHELL, which is the login shell.
    :returns: one of :data:`SHELLS`, 'sh' when nothing is known.
    """
    for name in (parent, environ.get('SHELL', '')):
        known = _known(name)
        if known:
            return known
    # Windows itself sets two folders; PowerShell adds the user's.
    if environ.get('PSModulePath', '').count(';') >= 2:
        return 'powershell'
    if environ.get('COMSPEC') or environ.get('ComSpec'):
        return 'cmd'
    return 'sh'


def render(
    shell: str, variables: Sequence[tuple[str, str | None]], command: str
) -> str:
    """Return the text that sets variables when a shell evaluates it.

    :param shell: one of :data:`SHELLS`.
    :param variables: names and values in order; None unsets.
    :param command: the command line that prints this, told in a comment.
    :raises InvalidRequest: the shell is unknown or has no words for a value.
    """
    try:
        dialect = _DIALECTS[shell]
    except KeyError:
        raise InvalidRequest(
            f'Unknown shell {shell!r}.', 'Known are: ' + ', '.join(SHELLS)
        ) from None
    lines = [_line(dialect, name, value) for name, value in variables]
    # A line break in the command would end the comment.
    told = ''.join(c if c.isprintable() else ' ' for c in command)
    usage = dialect.usage.format(command=told)
    lines.append(dialect.comment + _HINT)
    lines.append(dialect.comment + dialect.escape_usage(usage))
    return '\n'.join(lines) + '\n'


def no_proxy(environ: Mapping[str, str], address: str) -> tuple[str, str]:
    """Add an address to those that are reached without a proxy.

    :returns: the variable's name, NO_PROXY unless the lower-case one is
        set, and its new value.
    """
    name = 'no_proxy' if environ.get('no_proxy') else 'NO_PROXY'
    old = environ.get(name, '').strip().rstrip(',')
    listed = [entry.strip() for entry in old.split(',')]
    # '*' is everything, and some programs know it only when it is alone.
    if address in listed or '*' in listed:
        return name, old
    return name, f'{old},{address}' if old else address


def _known(name: str) -> str:
    base = PureWindowsPath(name).name.lower().lstrip('-')
    base = base.removesuffix('.exe')
    base = _ALIASES.get(base, base)
    if base.startswith('emacs'):
        base = 'emacs'
    return base if base in SHELLS else ''


def _line(dialect: _Dialect, name: str, value: str | None) -> str:
    if not _VARIABLE.fullmatch(name):
        raise InvalidRequest(f'{name!r} cannot be the name of a variable.')
    if value is None:
        return dialect.unset.format(name=name)
    if '\0' in value:
        raise InvalidRequest(f'The value of {name} holds a null character.')
    try:
        escaped = dialect.escape(value)
    except ValueError as e:
        raise InvalidRequest(
            f'This shell has no words for the value of {name}, {value!r}: {e}'
        ) from None
    return dialect.assign.format(name=name, value=escaped)


def _spread(text: str) -> str:
    """Keep blanks apart for those who write eval $(...) without quotes.

    The shell then splits the text at blanks and joins it with single ones.
    """
    return re.sub(' (?= )', ' ""', text)


def _sh(text: str) -> str:
    return _spread(re.sub(r'[\\$`"]', r'\\\g<0>', text))


def _fish(text: str) -> str:
    escaped = re.sub(r'[\\$"]', r'\\\g<0>', text)
    # eval (...) takes a line for an argument: line breaks get lost.
    return escaped.replace('\n', r'"\n"').replace('\r', r'"\r"')


def _csh(text: str) -> str:
    if '\n' in text:
        raise ValueError('it has a line break')
    # Nothing is escaped within double quotes there, so it stands outside.
    return _spread(re.sub(r'[\\$`"!]', r'"\\\g<0>"', text))


def _csh_literal(text: str) -> str:
    return "'" + re.sub(r"['!]", r"'\\\g<0>'", text) + "'"


def _powershell(text: str) -> str:
    # PowerShell takes typographic quotes for quotes as well.
    escaped = re.sub('[`$"\u201c\u201d\u201e]', r'`\g<0>', text)
    return escaped.replace('\n', '`n').replace('\r', '`r')


def _cmd(text: str) -> str:
    # Read by FOR, as our hint has it, all but line breaks is literal; in a
    # batch file a % or a quote is not. Neither has words for both.
    if re.search(r'[%"\x00-\x1f]', text):
        raise ValueError('it has a control character, a quote or a %')
    return text


def _lisp(text: str) -> str:
    return re.sub(r'[\\"]', r'\\\g<0>', text).replace('\n', r'\n')


_SH = _Dialect(
    'export {name}="{value}"', 'unset {name}', '# ', 'eval "$({command})"', _sh
)
_CSH = _Dialect(
    'setenv {name} "{value}";',
    'unsetenv {name};',
    ': ',
    'eval "`{command}`"',
    _csh,
    _csh_literal,
)
_POWERSHELL = _Dialect(
    '$Env:{name} = "{value}"',
    r'Remove-Item Env:\{name}',
    '# ',
    '& {command} | Invoke-Expression',
    _powershell,
)
_DIALECTS = {
    'sh': _SH,
    'bash': _SH,
    'zsh': _SH,
    'ksh': _SH,
    'dash': _SH,
    'fish': _Dialect(
        'set -gx {name} "{value}";',
        'set -e {name};',
        '# ',
        'eval ({command})',
        _fish,
    ),
    'tcsh': _CSH,
    'csh': _CSH,
    'powershell': _POWERSHELL,
    'pwsh': _POWERSHELL,
    'cmd': _Dialect(
        'SET {name}={value}',
        'SET {name}=',
        'REM ',
        '\t@FOR /f "tokens=*" %i IN (\'{command}\') DO @%i',
        _cmd,
    ),
    'emacs': _Dialect(
        '(setenv "{name}" "{value}")',
        '(setenv "{name}" nil)',
        ';; ',
        '(with-temp-buffer (shell-command "{command}" (current-buffer)) '
        '(eval-buffer))',
        _lisp,
    ),
}
