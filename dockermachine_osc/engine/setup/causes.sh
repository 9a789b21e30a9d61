
# ---- why it failed --------------------------------------------------------

# An engine that ran before runs again as it did; its containers wait for it.
start_failed() {
    journal_of_last_try >"$RUN_DIR/journal"
    [ -s "$RUN_DIR/journal" ] || cat "$RUN_DIR/systemctl" >"$RUN_DIR/journal"
    without_chatter <"$RUN_DIR/journal" | tail_of
    cause=$(cause_in "$RUN_DIR/journal")
    if [ "$state" = active ] || [ -n "$configuring" ]; then
        put_options_back
        put_back
    fi
    [ -z "$overrun" ] || start_overdue
    if [ "$state" = active ]; then
        ! systemctl restart docker.service 2>/dev/null ||
            step 'the engine runs again as it did before'
    fi
    fail "$EX_START" \
        "the engine does not run $why${cause:+: $cause}" \
        "$(hint_of_cause)"
}

# It hangs, so nobody waits for it any more.
start_overdue() {
    [ "$state" != active ] || systemctl --no-block restart docker.service
    fail "$EX_TIMEOUT" \
        "the engine has not started in time $why${cause:+: $cause}" \
        "$JOURNAL, and systemctl status docker.service where it is"
}

JOURNAL='journalctl -u docker.service on the host has the whole story'

hint_of_cause() {
    case $cause in
    *'no space left'* | *'No space left'*) say "$FULL" ;;
    *'address already in use'*) say 'ss -ltnp on the host shows who has that port' ;;
    *) say "$JOURNAL" ;;
    esac
}

CAUSES='(failed to (start daemon|load listeners)|unable to configure|unknown( shorthand)? flag).*|Unit .* (masked|not found).*|Failed to execute .*|Dependency failed.*|.*: No space left on device'

cause_in() {
    found=$(clean <"$1" | grep -oE "$CAUSES" | tail -n 1)
    # So does systemd say that there is no such program, or none for this host.
    [ -n "$found" ] || ! grep -q 'status=203/EXEC' "$1" ||
        found="$(engine_program) cannot be executed"
    [ -n "$found" ] || found=$(clean <"$1" |
        sed -n 's/.*level=\(fatal\|error\) msg="\(.*\)/\2/p' | tail -n 1)
    [ -n "$found" ] || found=$(clean <"$1" |
        sed -n 's/^docker.service: \(Main process exited.*\)/\1/p' |
        tail -n 1)
    say "$found" | cut -c 1-200
}

# What the engine says beside what matters.
without_chatter() { grep -v ' level=\(info\|debug\) ' || :; }

# systemd may have made several tries; one that has just begun tells nothing.
# The words of an engine that ends at once may stand before those by which
# systemd began it: each comes its own way.
journal_of_last_try() {
    # The engine's last words may still be on their way.
    journalctl --sync 2>/dev/null
    # Beside the unit by the program's name: of one that has ended at once the
    # journal may not know any more which unit it was of.
    journalctl -q -b --since "@$since" -o cat --no-pager \
        _SYSTEMD_UNIT=docker.service + UNIT=docker.service _PID=1 + \
        SYSLOG_IDENTIFIER=dockerd + 'SYSLOG_IDENTIFIER=(dockerd)' \
        2>/dev/null | awk '/^Starting / { before = text; text = words = "" }
            { text = text $0 "\n" }
            !/^(Start|Stop|Failed to start |docker\.service: )/ { words = 1 }
            END {
                if (text !~ /exited|[Ff]ailed/ && before != "") text = before
                else if (!words) text = before text
                printf "%s", text
            }'
}

# cannot_write FILE: and why, if its disk is full.
cannot_write() {
    there=${1%/*}
    full=$( (df -Pk "$there"; df -Pi "$there") 2>/dev/null |
        awk '$4 ~ /^[0-9]+$/ && $2 > 0 && $4 < 64 {
            print ": " $6 " is full"; exit }')
    [ -n "$full" ] || [ -w "$there" ] || full=': it is read-only'
    fail "$EX_START" "$1 cannot be written$full" "$FULL"
}

# ---- nothing lasts for ever -----------------------------------------------

overrun=''

# in_bounds COMMAND...: ends it, and notes so, when our time is over.
in_bounds() {
    "$@" &
    doing=$!
    while kill -0 "$doing" 2>/dev/null; do
        uptime_seconds
        if [ "$now" -ge "$limit" ]; then
            overrun=yes
            kill "$doing"
            return "$EX_TIMEOUT"
        fi
        sleep 0.1
    done
    wait "$doing"
}

overdue=''

# Says what has not come to its end, and where that hangs.
out_of_time() {
    cause=${overdue:-$(overdue_cause)}
    [ -e "$LOG" ] || LOG=/dev/null
    if [ -s "$LOG" ]; then
        grep -v '^step ' "$LOG" | tr '\r' '\n' | tail_of
    elif [ -e "$RUN_DIR/pending" ]; then
        # Without the pictures of keys.
        grep -v '^[|+]' "$ROOT/var/log/cloud-init-output.log" 2>/dev/null |
            tail_of
    fi
    hint=$(hint_of_log)
    # What becomes of it later is no news: whoever comes next installs anew.
    rm -f "$RUN_DIR/pending"
    fail "$EX_TIMEOUT" "$cause" "${hint:-give it longer with --timeout}"
}

overdue_cause() {
    holder=$(lock_holder)
    hangs=$(installer_chain)
    if [ -n "$holder" ]; then
        say "apt's lock was not free in time: $holder holds it"
    elif [ -n "$hangs" ]; then
        say "the installation was not done in time, it is at: $hangs"
    elif [ -e "$RUN_DIR/pending" ] && [ ! -s "$LOG" ]; then
        say "cloud-init has not come to the engine in time$(cloud_init_stage)"
    else
        say 'the host was not ready for its engine in time'
    fi
}

# Who has the lock that apt waits for, by apt's last lines.
lock_holder() {
    [ -s "$LOG" ] || return 0
    tail -c 1000 "$LOG" | tr '\r' '\n' | grep . | tail -n 4 |
        sed -n 's/.*Could not get lock.* held by \(process [0-9]* ([^)]*)\).*/\1/p' |
        tail -n 1 | clean
}

# chain PID: what it runs, and what that runs, down to the end; the last two.
chain() {
    pid=$1
    above=''
    last=''
    while kids=$(cat "/proc/$pid/task/$pid/children" 2>/dev/null) &&
        [ -n "$kids" ]; do
        pid=${kids%% *}
        above=$last
        last=$(command_of "$pid")
    done
    say "${above:+$above > }$last"
}

command_of() {
    tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | clean | cut -c 1-100 |
        sed 's/ *$//'
}

installer_chain() {
    pid=$(cat "$RUN_DIR/installer" 2>/dev/null) && [ -d "/proc/$pid" ] ||
        return 0
    chain "$pid"
}

cloud_init_stage() {
    unit=$(systemctl list-units --no-legend --plain --state=activating \
        'cloud-*' 2>/dev/null | awk '{ print $1; exit }')
    [ -n "$unit" ] || return 0
    for which in ControlPID MainPID; do
        pid=$(systemctl show -p "$which" --value "$unit")
        [ "${pid:-0}" = 0 ] || break
    done
    at=$(chain "$pid")
    say ": $unit is at ${at:-$(command_of "$pid")}"
}

# ---- the clock ------------------------------------------------------------

# Our certificates are valid from an hour before they were made (pki.py), for
# three years; who handed them over says what time it was there.
check_clock() {
    [ -s "$stage/now" ] && [ "$access" = tls ] || return 0
    read -r theirs <"$stage/now"
    case $theirs in '' | *[!0-9]*) return 0 ;; esac
    clock_differs || return 0
    step 'waiting for the clock of the host to be set'
    uptime_seconds
    patient=$((now + 15 < limit ? now + 15 : limit))
    while clock_differs; do
        uptime_seconds
        [ "$now" -lt "$patient" ] || fail "$EX_CONFLICT" \
            "the clock of the host is $differs yours, so its certificates are not valid there: it says $(date -u '+%Y-%m-%d %H:%M') UTC" \
            'set it: "timedatectl set-ntp true" on the host does that, where a time server can be reached; or is it yours that is wrong?'
        sleep 0.5
    done
}

clock_differs() {
    behind=$((theirs - $(date +%s)))
    if [ "$behind" -gt 3300 ]; then
        differs="$(days "$behind") behind"
    elif [ "$behind" -lt -94000000 ]; then
        differs="$(days "$((-behind))") ahead of"
    else
        return 1
    fi
}

days() {
    if [ "$1" -ge 172800 ]; then
        say "$(($1 / 86400)) days"
    else
        say "$(($1 / 60)) minutes"
    fi
}
