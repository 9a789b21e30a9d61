
# ---- another version of the engine ----------------------------------------

# upgrade DIR WAIT: DIR has setup.sh and settings, whose version is the one
# that is wanted, or its beginning; none for the newest. WAIT is in seconds.
upgrade() {
    stage=$1
    uptime_seconds
    limit=$((now + $2))
    shown=0
    trap 'rm -rf "$stage"' EXIT
    trap 'exit 129' HUP INT PIPE TERM
    load_settings "$stage/settings"
    mkdir -p "$RUN_DIR"
    chmod 700 "$RUN_DIR"
    overdue='the upgrade was not done in time, and goes on'
    one_at_a_time
    LOG=$RUN_DIR/upgrade.log
    rm -f "$RUN_DIR/upgraded"
    : >"$LOG"
    upgrade_in_background
    await_upgrade
    sed -n 's/^fact //p' "$LOG" | while read -r line; do fact "$line"; done
    say "ready $(engine_version)"
}

# Packages that have begun to change get to the end, whoever hangs up; the
# lock of one_at_a_time is kept until then.
upgrade_in_background() {
    (
        trap '' HUP
        umask 022
        proxies_to_install
        # So that the package manager says whom it waits for.
        patience=$((limit - now > 20 ? limit - now - 10 : 1))
        (change_engine) >"$LOG" 2>&1 </dev/null
        say "$?" >"$RUN_DIR/upgraded.new"
        mv "$RUN_DIR/upgraded.new" "$RUN_DIR/upgraded"
    ) >/dev/null 2>&1 &
}

await_upgrade() {
    rounds=0
    until [ -e "$RUN_DIR/upgraded" ]; do
        in_time
        sleep 0.1
    done
    show_steps
    read -r code <"$RUN_DIR/upgraded"
    [ "$code" != 0 ] || return 0
    grep '^tail ' "$LOG" | clean
    fail "$code" \
        "$(sed -n 's/^failed //p' "$LOG" | clean | grep . ||
            say "the upgrade ended with code $code")" \
        "$(sed -n 's/^hint //p' "$LOG" | clean)"
}

# ---- in the background ----------------------------------------------------

change_engine() {
    find_package
    refresh_lists
    before=$(engine_version)
    # Of an upgrade that was cut off, what was there before it counts.
    had=$(cat "$RUN_DIR/upgrading" 2>/dev/null || version_of "$package")
    state=$(systemctl show -p ActiveState --value docker.service)
    started=$(engine_started)
    want
    if [ -n "$wanted" ]; then
        check_holds
        tell_fate
        change_packages
    fi
    restarted=no
    [ "$state" = active ] && [ ! -e "$RUN_DIR/upgrading" ] || restart_upgraded
    rm -f "$RUN_DIR/upgrading"
    fact package "$package"
    fact package-before "$had"
    fact package-after "$(version_of "$package")"
    fact before "$before"
    fact restarted "$restarted"
}

engine_started() {
    systemctl show -p ExecMainStartTimestampMonotonic --value docker.service
}

# Sets wanted to what is to be installed, as NAME=VERSION.
want() {
    wanted=''
    target=''
    if [ -n "$version" ]; then
        target=$(versions "$package" | pick "$version")
        [ -n "$target" ] || no_such_version
    fi
    for each in $packages; do
        if [ -z "$target" ]; then
            goal=$(newest "$each")
        else
            case " $twins " in
            # rpm gives each package an epoch of its own.
            *" $each "*) goal=$(versions "$each" | pick "${target#*:}") ;;
            *) continue ;;
            esac
        fi
        [ -z "$goal" ] || [ "$goal" = "$(version_of "$each")" ] ||
            wanted="$wanted $each=$goal"
    done
}

no_such_version() {
    there=$(versions "$package" | head -n 20 | tr '\n' ' ')
    fail "$EX_INSTALL" \
        "there is no $package $version for this host, only: ${there% }" \
        'leave --engine-version out for the newest'
}

# What the restart means to the containers, before it comes.
tell_fate() {
    [ "$state" = active ] || return 0
    running=$(docker ps -q 2>/dev/null | grep -c .)
    [ "$running" -gt 0 ] || return 0
    fate='stop with the engine, those with a restart policy start again'
    [ "$(docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null)" != true ] ||
        fate='run on: live-restore is set'
    say "note $running running container(s) $fate"
}

change_packages() {
    for each in $wanted; do
        step "changing ${each%%=*} to ${each#*=}"
    done
    if [ ! -e "$RUN_DIR/upgrading" ]; then
        all_packages >"$RUN_DIR/packages"
        say "$had" >"$RUN_DIR/upgrading"
    fi
    # shellcheck disable=SC2086 # a list of words
    change $wanted && return
    cause=$(change_cause)
    grep -v '^step \|^note ' "$LOG" | tail_of >"$RUN_DIR/tail"
    cat "$RUN_DIR/tail"
    [ -n "$(replaced)" ] || rm -f "$RUN_DIR/upgrading"
    fail "$EX_INSTALL" "$cause" "$(hint_of_log)"
}

# What had another version before, as NAME=VERSION.
replaced() {
    [ -e "$RUN_DIR/upgrading" ] || return 0
    all_packages >"$RUN_DIR/packages.now"
    awk 'NR == FNR { now[$1] = $2; next }
        $1 in now && now[$1] != $2 { print $1 "=" $2 }' \
        "$RUN_DIR/packages.now" "$RUN_DIR/packages"
}

restart_upgraded() {
    since=$(date +%s)
    systemctl daemon-reload
    # A package manager whose systemctl knows no chroot has done it already.
    if [ "$state" != active ] || [ "$(engine_started)" = "$started" ]; then
        step 'restarting the engine'
        # shellcheck disable=SC2046 # a list of words
        systemctl restart $(services) 2>"$RUN_DIR/systemctl" ||
            roll_back
    fi
    restarted=yes
    "${access}_listening" || roll_back
}

# In one transaction, as one may be bound to the other.
services() {
    ! systemctl -q is-active containerd.service 2>/dev/null ||
        ! replaced | grep -q '^containerd' || say containerd.service
    say docker.service
}

roll_back() {
    journal_of_last_try >"$RUN_DIR/journal"
    [ -s "$RUN_DIR/journal" ] || cat "$RUN_DIR/systemctl" >"$RUN_DIR/journal"
    tail_of <"$RUN_DIR/journal"
    cause=$(cause_in "$RUN_DIR/journal")
    cause="the engine does not run as $package $(version_of "$package")${cause:+: $cause}"
    back=$(replaced)
    [ -n "$back" ] || fail "$EX_START" "$cause" \
        'journalctl -u docker.service on the host has the whole story'
    step "putting $package $had back"
    # shellcheck disable=SC2086 # a list of words
    if change $back && systemctl daemon-reload &&
        systemctl reset-failed docker.service docker.socket &&
        systemctl restart docker.service; then
        rm -f "$RUN_DIR/upgrading"
        fail "$EX_START" "$cause. $had is back, and runs" \
            'journalctl -u docker.service on the host has the whole story'
    fi
    fail "$EX_START" "$cause. $had could not be put back" \
        'journalctl -u docker.service on the host has the whole story; upgrade --engine-version takes one that works'
}
