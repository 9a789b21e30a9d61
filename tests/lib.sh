# SPDX-License-Identifier: Apache-2.0
# What tests/demo and tests/all share; they source it. They set ROOT (the
# checkout), NAME (their own) and WORK (a folder of theirs in the checkout).
# Plain sh: a minimal Debian has nothing else.
# shellcheck shell=sh disable=SC2034,SC2153

LIB=$ROOT/tests/devcloud/lib
DEVCLOUD=$ROOT/tests/devcloud/devcloud
VENV=$ROOT/.venv

# Without bytecode every start of `openstack` and of a service compiles
# thousands of modules anew.
unset PYTHONDONTWRITEBYTECODE
# Not on every root's PATH (su without '-').
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH

started=$(date +%s)

# say TEXT: with the seconds since the start, on a line of its own.
say() {
    printf '[%4d s] %s\n' "$(($(date +%s) - started))" "$*"
}

# fail TEXT...: a line each; does not come back.
fail() {
    printf '%s: %s\n' "$NAME" "$1" >&2
    shift
    [ "$#" -eq 0 ] || printf '  %s\n' "$@" >&2
    exit 1
}

# stage_begin TEXT, then stage_end: says how long that took.
stage_begin() {
    stage=$*
    stage_started=$(date +%s)
    say "$stage ..."
}

stage_end() {
    say "$stage: $(($(date +%s) - stage_started)) s"
}

require_root() {
    [ "$(uname -s)" = Linux ] ||
        fail "the devcloud needs Linux, this is $(uname -s)" \
            'use a virtual machine with Debian or Ubuntu'
    [ "$(id -u)" = 0 ] ||
        fail 'must be run as root: it installs packages and makes network' \
            'namespaces, mounts and firewall rules. Type:' \
            "sudo $ROOT/tests/$NAME${*:+ $*}"
}

# ---- packages of the system -----------------------------------------------

apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -y \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        -o Acquire::Retries=2 "$@" </dev/null
}

# install_packages PACKAGE...: what is not there yet. The lists are fetched
# only if the packages are unknown or no longer there under the known names.
install_packages() {
    [ "$#" -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "missing on this machine: $*" \
        'and there is no apt-get to install that with'
    say "installing: $*"
    if ! apt install --no-install-recommends "$@" >"$WORK/apt.log" 2>&1; then
        update_lists
        apt install --no-install-recommends "$@" >>"$WORK/apt.log" 2>&1 ||
            apt_failed "apt-get install $*"
    fi
    printf '%s\n' "$@" >>"$WORK/packages"
}

update_lists() {
    apt update >"$WORK/apt.log" 2>&1 || apt_failed 'apt-get update'
}

apt_failed() {
    tail -n 15 "$WORK/apt.log" >&2
    fail "$1 failed; the end of its output is above" \
        "all of it: $WORK/apt.log"
}

# wanted PROGRAM PACKAGE: the package, unless the program is there.
wanted() {
    command -v "$1" >/dev/null || printf '%s\n' "$2"
}

# The newest of what is called python3 that is new enough, in $PYTHON.
find_python() {
    for PYTHON in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
            2>/dev/null; then
            PYTHON=$(command -v "$PYTHON")
            return 0
        fi
    done
    return 1
}

# What the devcloud needs, by the names of Debian's packages.
devcloud_packages() {
    PYTHONPATH=$LIB "$PYTHON" -B -c 'from devcloud import preflight
print(*preflight.missing_packages())'
}

# system_packages PACKAGE...: those, Python, and what the devcloud needs.
system_packages() {
    find_python || install_packages python3
    find_python ||
        fail "needs Python 3.11 or newer, this is $(python3 --version)" \
            'Debian 12 and Ubuntu 24.04 are the first to have it'
    # shellcheck disable=SC2046 # lists of words
    install_packages $(wanted git git) $(devcloud_packages) "$@"
    # The devcloud unpacks a Docker client from one of these.
    apt-cache show docker-cli docker.io 2>/dev/null | grep -q . ||
        update_lists
}

# ---- the virtual environment ----------------------------------------------

# make_venv EXTRAS: .venv with this package, editable, and these extras
# ('' for none); nothing is done if that is there already.
make_venv() {
    # pbr asks git for the version, which distrusts a checkout of somebody
    # else: `sudo` of one's own.
    export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory
    export GIT_CONFIG_VALUE_0="$ROOT"
    if ! git -C "$ROOT" rev-parse -q --verify HEAD >/dev/null 2>&1; then
        export PBR_VERSION="${PBR_VERSION:-0.0.0}"
    fi
    recipe=$(cat "$ROOT/setup.cfg" "$ROOT/pyproject.toml" | cksum)
    done_mark="$VENV/.made-for-$(printf '%s' "$recipe $1" | tr -c 'a-z0-9\n' _)"
    if [ -e "$done_mark" ] && "$VENV/bin/openstack" --version \
        >/dev/null 2>&1; then
        return 0
    fi
    if [ ! -x "$VENV/bin/python" ]; then
        "$PYTHON" -m venv "$VENV" || return 1
        : >"$VENV/.made-by-tests"
    fi
    install_package "$ROOT${1:+[$1]}" </dev/null || return 1
    : >"$done_mark"
}

# By uv, which takes seconds where pip takes a minute; else by pip itself.
install_package() {
    set -- -e "$1"
    uv_install "$@" || "$VENV/bin/python" -m pip install --no-input \
        --no-compile --disable-pip-version-check "$@"
}

# uv does not read pip's configuration; the devcloud's code translates it.
uv_install() {
    "$VENV/bin/python" -m pip install -q --disable-pip-version-check uv ||
        return 1
    PYTHONPATH=$LIB "$VENV/bin/python" -B -c 'import os, subprocess, sys
from devcloud import install, settings
pip = [sys.executable, "-m", "pip", "config", "list"]
listing = subprocess.run(pip, check=True, capture_output=True, text=True)
extra = install.uv_environment(
    settings.from_environment(), install.pip_options(listing.stdout))
uv = os.path.join(sys.prefix, "bin", "uv")
uv = [uv, "pip", "install", "-q", "--python", sys.executable, *sys.argv[1:]]
os.execve(uv[0], uv, {**os.environ, **extra})' "$@"
}

# What root made in the checkout of a user is the user's.
give_back() {
    owner=$(stat -c %u:%g "$ROOT")
    [ "$owner" = 0:0 ] || chown -R -h "$owner" "$ROOT"
}

# Variables of another cloud would be mixed into what clouds.yaml says.
forget_other_clouds() {
    for name in $(env | sed -n 's/^\(OS_[A-Z_]*\)=.*/\1/p'); do
        case $name in OS_TEST_* | OS_DEBUG) ;; *) unset "$name" ;; esac
    done
}

# ---- a cloud ---------------------------------------------------------------

# A test cloud is on the first of these port bases that nobody uses.
FIRST_PORT=19600
LAST_PORT=20500

devcloud() {
    "$PYTHON" -B "$DEVCLOUD" "$@"
}

# The first port base that no cloud has, or one of a run that was killed.
# The lock on the mark that says whose it is goes with this process.
choose_port() {
    DEVCLOUD_PORT=$FIRST_PORT
    while [ "$DEVCLOUD_PORT" -le "$LAST_PORT" ]; do
        export DEVCLOUD_PORT
        mark=$DEVCLOUD_HOME/clouds/$DEVCLOUD_PORT.tests
        if [ -e "$mark" ] || [ ! -e "${mark%.tests}" ] && ports_are_free; then
            exec 9>"$mark"
            if flock -n 9; then
                devcloud destroy >"$WORK/cloud.log" 2>&1 || cat "$WORK/cloud.log"
                cloud_ours=$mark
                return 0
            fi
        fi
        DEVCLOUD_PORT=$((DEVCLOUD_PORT + 100))
    done
    fail "all port bases from $FIRST_PORT to $LAST_PORT are in use"
}

ports_are_free() {
    "$PYTHON" -c 'import socket, sys
for port in range(int(sys.argv[1]), int(sys.argv[1]) + 5):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))' "$DEVCLOUD_PORT" 2>/dev/null
}
