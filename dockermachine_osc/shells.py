# SPDX-License-Identifier: Apache-2.0
"""Environment variables in the words of each shell, for ``env``.

Names, order and quoting are those of Docker Machine, which scripts parse;
only what its words would break on is written in another way. Whatever a
value holds, evaluating the text sets that value and does nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

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


class _Dialect:
    """How a shell says it; the strings are format strings.

    No dataclass: to import those takes longer than all else that a prompt
    has to wait for.

    :ivar separator: for eval $(...), which makes one line of all: export
        X="x" unset Y would unset nothing. Docker Machine never printed both
        at once.
    """

    def __init__(
        self,
        assign: Callable[[str, str], str],
        unset: str,
        comment: str,
        usage: str,
        escape_usage: Callable[[str], str] = str,
        separator: str = '',
    ) -> None:
        self.assign = assign
        self.unset = unset
        self.comment = comment
        self.usage = usage
        self.escape_usage = escape_usage
        self.separator = separator


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
    kinds = {value is None for _, value in variables}
    end = dialect.separator if len(kinds) > 1 else ''
    lines = [_line(dialect, *variable) + end for variable in variables]
    # A line break in the command would end the comment.
    told = ''.join(c if c.isprintable() else ' ' for c in command)
    usage = dialect.usage.format(command=told)
    lines.append(dialect.comment + _HINT)
    lines.append(dialect.comment + dialect.escape_usage(usage))
    return '\n'.join(lines) + '\n'


def _known(name: str) -> str:
    base = re.split(r'[/\\]', name)[-1].lower().lstrip('-')
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
        return dialect.assign(name, value)
    except ValueError as e:
        raise InvalidRequest(
            f'This shell has no words for the value of {name}, {value!r}: {e}'
        ) from None


def _unsplit(text: str) -> str:
    """Save a quoted value from those who write eval $(...) without quotes.

    The shell then splits our text at blanks, takes the words for patterns
    of file names, and joins what comes of it with single blanks.
    """
    outside = re.sub(r'[*?[]', r'"\\\g<0>"', text)
    return re.sub(' (?= )', ' ""', outside)


def _sh(text: str) -> str:
    return _unsplit(re.sub(r'[\\$`"]', r'\\\g<0>', text))


def _ksh(text: str) -> str:
    # Those words also have their braces expanded, whatever quotes them.
    return _sh(text).replace('{', r'''"$'\173'"''')


def _fish(text: str) -> str:
    escaped = re.sub(r'[\\$"]', r'\\\g<0>', text)
    # eval (...) takes a line for an argument: line breaks get lost.
    return escaped.replace('\n', r'"\n"').replace('\r', r'"\r"')


def _csh(text: str) -> str:
    if '\n' in text or '{' in text:
        # Both get lost, or run, in eval `...`.
        raise ValueError('it has a line break or a brace')
    # Nothing is escaped within double quotes there, so it stands outside;
    # so does what is special at the start of a word.
    special = r'[\\$`"!]|(?<= )[~=]'
    return _unsplit(re.sub(special, r'"\\\g<0>"', text))


def _csh_literal(text: str) -> str:
    return "'" + re.sub(r"['!]", r"'\\\g<0>'", text) + "'"


def _powershell(text: str) -> str:
    # PowerShell takes typographic quotes for quotes as well.
    escaped = re.sub('[`$"\u201c\u201d\u201e]', r'`\g<0>', text)
    return escaped.replace('\n', '`n').replace('\r', '`r')


def _cmd(assignment: str) -> str:
    # Read by FOR, as our hint has it, all but a line break is literal; in a
    # batch file a % or a quote is not, and nothing suits both.
    if re.search(r'[%"\x00-\x1f]', assignment):
        raise ValueError('it has a control character, a quote or a %')
    special = re.search('[&|<>^]', assignment)
    return f'"{assignment}"' if special else assignment


def _lisp(text: str) -> str:
    return re.sub(r'[\\"]', r'\\\g<0>', text).replace('\n', r'\n')


def _like_sh(quoted: Callable[[str], str]) -> _Dialect:
    return _Dialect(
        lambda name, value: f'export {name}="{quoted(value)}"',
        'unset {name}',
        '# ',
        'eval "$({command})"',
        separator=';',
    )


def _like_csh(comment: str) -> _Dialect:
    return _Dialect(
        lambda name, value: f'setenv {name} "{_csh(value)}";',
        'unsetenv {name};',
        comment,
        'eval "`{command}`"',
        _csh_literal,
    )


_SH = _like_sh(_sh)
_POWERSHELL = _Dialect(
    lambda name, value: f'$Env:{name} = "{_powershell(value)}"',
    'Remove-Item Env:\\{name}',
    '# ',
    '& {command} | Invoke-Expression',
)
_DIALECTS = {
    'sh': _SH,
    'bash': _SH,
    'zsh': _SH,
    'ksh': _like_sh(_ksh),
    'dash': _SH,
    'fish': _Dialect(
        lambda name, value: f'set -gx {name} "{_fish(value)}";',
        'set -e {name};',
        '# ',
        'eval ({command})',
    ),
    'tcsh': _like_csh(': '),
    # The first csh, Debian's and the BSDs', takes no arguments to ':'.
    'csh': _like_csh('if (0) echo '),
    'powershell': _POWERSHELL,
    'pwsh': _POWERSHELL,
    'cmd': _Dialect(
        lambda name, value: 'SET ' + _cmd(f'{name}={value}'),
        'SET {name}=',
        'REM ',
        '\t@FOR /f "tokens=*" %i IN (\'{command}\') DO @%i',
    ),
    'emacs': _Dialect(
        lambda name, value: f'(setenv "{name}" "{_lisp(value)}")',
        '(setenv "{name}" nil)',
        ';; ',
        '(with-temp-buffer (shell-command "{command}" (current-buffer)) '
        '(eval-buffer))',
    ),
}
