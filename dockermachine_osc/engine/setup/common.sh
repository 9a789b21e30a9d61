#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The set-up of the Docker Engine on a host, for POSIX sh. It is idempotent:
# what is as it should be is left alone, and then nothing is restarted.
# It lives on the host as /etc/docker-machine/setup.sh, next to `settings`.
#
#   early TEXT       cloud-init bootcmd: keep settings, hold the engine back
#   prepare          beside cloud-init: have the engine that is there start with
#                    a certificate of its own, or wait for another
#   report           say on the console who may log in and our host keys
#   install          cloud-init runcmd: install the engine if it is missing
#   unpacked         from dpkg: have the engine of the package start with a
#                    certificate of its own
#   serve DIR WAIT   over SSH: take certificates over, start the engine
#   upgrade DIR WAIT over SSH: give the engine's packages another version
#   configure DIR W  over SSH: change the engine's options, and only those
#   options          say which options are set
#   look DIR         say what is here, change nothing
#   leave            take back what was changed here
#   plan             say what `install` would do here, change nothing
#   derive           print the drop-in for the `systemctl cat` text on stdin
#
# Output is one fact a line, the first word says which: step, note, tail,
# hint, failed, fact, ready. Paths are below DOCKER_MACHINE_ROOT, which only
# tests set.

set -u
umask 077
LC_ALL=C
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

ROOT=${DOCKER_MACHINE_ROOT:-}
HOME_DIR=$ROOT/etc/docker-machine
RUN_DIR=$ROOT/run/docker-machine
LOG=$RUN_DIR/install.log
# Sorts behind other drop-ins: it is the last ExecStart that counts.
DROPIN=/etc/systemd/system/docker.service.d/zz-docker-machine.conf
CR=$(printf '\r')
NEWLINE='
'

EX_USAGE=64
EX_UNSUPPORTED=69
EX_INSTALL=70
EX_CONFLICT=71
EX_START=72
EX_SCRIPT=73
EX_TIMEOUT=75
EX_TAKEN=76

say() { printf '%s\n' "$*"; }

step() { say "step $*"; }

# fail CODE CAUSE [HINT]
fail() {
    [ -z "${3:-}" ] || say "hint $3"
    say "failed $2"
    exit "$1"
}

# Log text on stdin, without what could move the cursor of a terminal.
clean() { tr -d '\000-\010\013-\037\177'; }

tail_of() { clean | uniq | tail -n 25 | sed 's/^/tail /'; }

# The clock may be set while a host boots; this one only goes on.
uptime_seconds() {
    read -r now rest </proc/uptime
    now=${now%%.*}
}

# alone: no set-up is at work, and none begins before this shell ends.
alone() {
    exec 8>"$RUN_DIR/serving"
    ! command -v flock >/dev/null || flock -n 8
}

# ---- settings -------------------------------------------------------------

machine_id=''
source=auto
version=''
port=2376
access=tls
data_disk=0
public_key=''
hold=0
imported=''
defer=no
self_signed=''

# Read KEY=value lines from stdin. Nothing is sourced or evaluated.
read_settings() {
    while IFS= read -r line || [ -n "$line" ]; do
        value=${line#*=}
        case $value in
        *[!A-Za-z0-9\ ._:/@+=~%?\&,\#-]*) return 1 ;;
        esac
        case $line in
        machine_id=*) machine_id=$value ;;
        source=*) source=$value ;;
        version=*) version=$value ;;
        port=*) port=$value ;;
        access=*) access=$value ;;
        data_disk=*) data_disk=$value ;;
        public_key=*) public_key=$value ;;
        hold=*) hold=$value ;;
        imported=*) imported=$value ;;
        defer=*) defer=$value ;;
        self_signed=*) self_signed=$value ;;
        '') ;;
        *) return 1 ;;
        esac
    done
    case $machine_id in '' | *[!A-Za-z0-9-]*) return 1 ;; esac
    case $port in '' | *[!0-9]*) return 1 ;; esac
    case $data_disk in '' | *[!0-9]*) return 1 ;; esac
    case $access in tls | ssh) ;; *) return 1 ;; esac
    case $hold in '' | *[!0-9]*) return 1 ;; esac
}

load_settings() {
    if [ ! -r "$1" ] || ! read_settings <"$1"; then
        fail "$EX_USAGE" "the settings in $1 are missing or damaged"
    fi
}

# ---- options --------------------------------------------------------------

# A line for each: a word, a space, the value as it was given.
options=$HOME_DIR/options

# For all that is downloaded here; in both spellings, as programs differ.
use_proxies() {
    for name in http_proxy https_proxy no_proxy; do
        value=$(sed -n "s/^$(say "$name" | tr _ -) //p" "$options" 2>/dev/null)
        [ -n "$value" ] || continue
        export "$name=$value"
        export "$(say "$name" | tr a-z A-Z)=$value"
    done
}

# ---- the engine as it is --------------------------------------------------

engine_present() {
    for dir in /etc/systemd/system /run/systemd/system \
        /usr/local/lib/systemd/system /usr/lib/systemd/system \
        /lib/systemd/system; do
        [ ! -e "$ROOT$dir/docker.service" ] || return 0
    done
    return 1
}

# The `systemctl cat` text on stdin with the drop-in of ours left out, one
# logical line each, as FILE, tab, line; only what [Service] says of ExecStart.
exec_lines() {
    awk -v ours="$DROPIN" '
        /^# \/.*\/docker\.service(\.d\/.*\.conf)?$/ {
            file = substr($0, 3); section = ""; next
        }
        file == ours { next }
        /^[ \t]*[#;]/ { next }
        { joined = joined $0 }
        joined ~ /\\$/ { sub(/\\$/, " ", joined); next }
        joined ~ /^[ \t]*\[/ { section = joined }
        section ~ /^[ \t]*\[Service\]/ && joined ~ /^[ \t]*ExecStart[ \t]*=/ {
            sub(/^[ \t]*ExecStart[ \t]*=[ \t]*/, "", joined)
            print file "\t" joined
        }
        { joined = "" }'
}

# The command that the unit on stdin starts without us: FILE, tab, command.
# An empty ExecStart= takes back all before it.
start_line() {
    exec_lines | awk -F '\t' '$2 == "" { last = ""; next }
        { last = $0 } END { if (last != "") print last }'
}

start_command() { start_line | cut -f 2-; }

unit_text() { systemctl cat docker.service 2>/dev/null; }

engine_program() {
    unit_text | start_command | sed 's/^[-@:+!]*//; s/ .*//'
}

# The version of the engine that docker.service would start, without a start.
engine_version() {
    for program in "$(engine_program)" dockerd; do
        found=$("$program" --version 2>/dev/null |
            sed -n 's/^Docker version \([0-9][^, ]*\).*/\1/p')
        [ -z "$found" ] || break
    done
    say "${found:-unknown}"
}

# matches A B: one is the other, or its beginning up to the end of a part.
matches() {
    case $1 in "$2" | "$2"[.+~-]*) return 0 ;; esac
    case $2 in "$1" | "$1"[.+~-]*) return 0 ;; esac
    return 1
}

require_version() {
    [ -n "$version" ] || return 0
    have=$(engine_version)
    matches "$have" "$version" || fail "$EX_INSTALL" \
        "the engine here is $have, asked for was $version" \
        'leave --engine-version out, or use an image without Docker'
}
