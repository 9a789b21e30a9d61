
# ---- carried by SSH -------------------------------------------------------

# serve DIR WAIT: DIR has setup.sh and settings, with access tls ca.pem,
# server.pem and server-key.pem, and options and post-script if there are any;
# WAIT is how many seconds it all may take. What differs by the access is in
# functions named after it.
serve() {
    begin_stage "$1" "$2"
    load_settings "$stage/settings"
    why=$("${access}_words")
    one_at_a_time
    check_found
    check_clock
    await_engine
    mount_data_disk
    check_unit
    "${access}_check"
    ask_engine
    # shellcheck disable=SC2046 # a list of words
    take_over setup.sh settings $("${access}_goods")
    write_dropin
    put_listener
    engine_version >"$RUN_DIR/version" &
    asked=$!
    start_engine
    "${access}_open"
    put_registries
    run_post_script
    wait "$asked"
    say "ready $(cat "$RUN_DIR/version")"
}

begin_stage() {
    stage=$1
    uptime_seconds
    limit=$((now + $2))
    shown=0
    running=''
    configuring=''
    why=''
    trap end_stage EXIT
    trap 'exit 129' HUP INT PIPE TERM
    mkdir -p "$HOME_DIR" "$RUN_DIR" || cannot_write "$HOME_DIR"
    chmod 700 "$HOME_DIR" "$RUN_DIR"
    choose_options
}

# ---- one set-up at a time -------------------------------------------------

one_at_a_time() {
    ! alone || return 0
    step 'waiting for another set-up of this host'
    rounds=0
    until flock -n 8; do
        in_time
        sleep 0.1
    done
}

# ---- the engine gets here -------------------------------------------------

await_engine() {
    if [ -e "$RUN_DIR/pending" ]; then
        step 'waiting for the installation of the engine'
        await_result cloud-init
    elif [ "$source" = none ]; then
        await_user_data
    elif engine_whole; then
        require_version
    else
        hold_back
        install_in_background
        await_result here
    fi
}

install_in_background() {
    rm -f "$RUN_DIR/result"
    # Not redirected as a function: dash would keep what is replaced open, and
    # whoever listens to us would wait for the installation to end.
    (exec </dev/null >/dev/null 2>&1 8>&- && install_once) &
}

await_result() {
    rounds=0
    until [ -e "$RUN_DIR/result" ]; do
        in_time
        if [ "$1" = cloud-init ] && cloud_init_done &&
            [ ! -e "$RUN_DIR/result" ]; then
            # cloud-init has ended and not run it: somebody's user data won.
            rm -f "$RUN_DIR/pending"
            install_in_background
            set -- here
        fi
        sleep 0.1
    done
    show_steps
    read -r code <"$RUN_DIR/result"
    # Whoever hands over next installs anew instead of hearing of this again.
    rm -f "$RUN_DIR/pending"
    [ "$code" = 0 ] || installation_failed
}

# Called every tenth of a second; what costs a process waits for its turn.
# Saying something ends us if nobody listens any more.
in_time() {
    rounds=$((rounds + 1))
    [ $((rounds % 5)) = 0 ] || return 0
    show_steps
    [ $((rounds % 20)) != 0 ] || say alive
    uptime_seconds
    [ "$now" -ge "$limit" ] || return 0
    out_of_time
}

SHOWN='^step \|^note '
held_by=''

show_steps() {
    [ -e "$LOG" ] || return 0
    there=$(grep -c "$SHOWN" "$LOG")
    [ "$there" -le "$shown" ] ||
        grep "$SHOWN" "$LOG" | tail -n "$((there - shown))"
    shown=$there
    holder=$(lock_holder)
    [ "$holder" = "$held_by" ] || [ -z "$holder" ] ||
        step "waiting for apt's lock, which $holder holds"

}

installation_failed() {
    let_go
    grep -v '^step \|^hint \|^failed ' "$LOG" | tail_of
    fail "$code" \
        "$(sed -n 's/^failed //p' "$LOG" | clean | grep . ||
            say "the installation ended with code $code")" \
        "$(sed -n 's/^hint //p' "$LOG" | clean)"
}

# The user's own data bring the engine, and may still be at work with it.
await_user_data() {
    step 'waiting for your user data to bring the engine'
    rounds=0
    until engine_present && cloud_init_idle; do
        in_time
        if cloud_init_done && ! engine_present; then install_engine; fi
        sleep 0.1
    done
    require_version
}

cloud_init_idle() { cloud_init_done || [ ! -e "$ROOT/run/cloud-init" ]; }

# ---- what others have set -------------------------------------------------

reload_if_need_be() {
    if [ "$(systemctl show -p NeedDaemonReload --value docker.service)" = yes ]; then
        systemctl daemon-reload
    fi
}

check_unit() {
    reload_if_need_be
    [ "$(systemctl show -p LoadState --value docker.service)" != masked ] ||
        fail "$EX_CONFLICT" 'docker.service is masked on this host' \
            'systemctl unmask docker.service on the host lets it start again'
    take_command "$(unit_text | start_line)"
    [ -n "$command" ] || fail "$EX_CONFLICT" \
        'docker.service has no ExecStart' 'systemctl cat docker.service shows it'
}

# take_command FOUND: what the unit starts without us; on a host of Docker
# Machine without the TLS that its drop-in sets, too. That file stays where it
# is: ours sorts behind it, and it counts again when ours has gone.
take_command() {
    unit_file=${1%%	*}
    command=${1#*	}
    if [ "$imported" = yes ] && [ "$unit_file" = "$THEIR_DROPIN" ]; then
        command=$(say "$command" | sed "$THEIR_TLS")
    fi
}

# As Docker Machine 0.16 writes it: systemd.go and redhat.go in
# libmachine/provision; what is left of it is the user's.
THEIR_DROPIN=/etc/systemd/system/docker.service.d/10-machine.conf
THEIR_TLS='s#^\(/usr/bin/dockerd\) -H tcp://0\.0\.0\.0:[0-9]* \(-H unix:///var/run/docker\.sock --storage-driver [^ ]*\) --tlsverify --tlscacert /etc/docker/ca\.pem --tlscert /etc/docker/server\.pem --tlskey /etc/docker/server-key\.pem#\1 \2#'

check_command() {
    case "$imported $unit_file $command " in
    "yes $THEIR_DROPIN "*' --tls'* | "yes $THEIR_DROPIN "*tcp://*) fail "$EX_CONFLICT" \
        "$unit_file is not as Docker Machine has written it" \
        'put that back; or take it away, and restart docker.service' ;;
    *" $THEIR_DROPIN "*' --tls'*) fail "$EX_CONFLICT" \
        "the engine is on TLS already, by Docker Machine: $unit_file" \
        'where its files are: openstack docker machine import; else take that file away first' ;;
    *' --tls'*) fail "$EX_CONFLICT" \
        "the engine is on TLS already, with other certificates: $unit_file" \
        'take the --tls options out of that file first' ;;
    *tcp://*) fail "$EX_CONFLICT" \
        "the engine listens on tcp:// already: $unit_file" \
        'take that -H out first; whoever uses it would need a certificate' ;;
    esac
}

# The file that the command names, nothing if it leaves that to the engine.
config_file() {
    say "$command" | sed -n 's/.* --config-file[= ]\([^ ]*\).*/\1/p'
}

# ---- certificates and drop-in ---------------------------------------------

same() { [ -e "$1" ] && [ -e "$2" ] && [ "$(cat "$1")" = "$(cat "$2")" ]; }

# take_over NAME...: all are written before the first takes its place; only
# the engine's next start reads them.
take_over() {
    keep_before
    for name in "$@"; do
        [ -s "$stage/$name" ] ||
            fail "$EX_USAGE" "$name is missing in what was handed over"
        ! same "$stage/$name" "$HOME_DIR/$name" || continue
        cat "$stage/$name" >"$HOME_DIR/$name.new" ||
            cannot_write "$HOME_DIR/$name"
    done
    take_options || cannot_write "$HOME_DIR/options"
    for new in "$HOME_DIR"/*.new; do
        [ ! -e "$new" ] || mv -f "$new" "${new%.new}"
    done
    [ -s "$HOME_DIR/environment" ] || rm -f "$HOME_DIR/environment"
}

write_dropin() {
    file=$ROOT$DROPIN
    written=no
    content=$(dropin "$command")
    printf '%s' "${content:+$content$NEWLINE}" >"$RUN_DIR/dropin" &&
        [ "$(cat "$RUN_DIR/dropin")" = "$content" ] ||
        cannot_write "$RUN_DIR/dropin"
    if [ -s "$RUN_DIR/dropin" ]; then
        same "$RUN_DIR/dropin" "$file" || replace_dropin
    else
        remove_dropin
    fi
    case $(systemctl show -p ExecStart --value docker.service) in
    *"$("${access}_mark")"*) return ;;
    esac
    put_back
    fail "$EX_CONFLICT" \
        "$unit_file sets the ExecStart of docker.service after we do" \
        "rename it so that it sorts before ${DROPIN##*/}"
}

# One that only held the engine back says nothing about how it runs.
remove_dropin() {
    let_go
    [ -e "$file" ] || return 0
    keep_dropin
    rm -f "$file"
    systemctl daemon-reload
}

keep_dropin() {
    written=yes
    rm -f "$RUN_DIR/dropin.before"
    [ ! -e "$file" ] || cat "$file" >"$RUN_DIR/dropin.before" ||
        cannot_write "$RUN_DIR/dropin.before"
}

replace_dropin() {
    keep_dropin
    (
        umask 022
        mkdir -p "${file%/*}" && cat "$RUN_DIR/dropin" >"$file.new" &&
            mv -f "$file.new" "$file"
    ) || cannot_write "$file"
    systemctl daemon-reload
}

put_back() {
    restore_before
    [ "$written" = yes ] || return 0
    if [ -e "$RUN_DIR/dropin.before" ]; then
        cat "$RUN_DIR/dropin.before" >"$ROOT$DROPIN"
    else
        rm -f "$ROOT$DROPIN"
    fi
    systemctl daemon-reload
}

# ---- the engine starts ----------------------------------------------------

as_it_should_be() {
    [ "$state-$written" = active-no ] &&
        [ "$(fingerprint)" = "$(applied)" ]
}

# An engine that was never started by us has read nothing of ours.
applied() { cat "$HOME_DIR/applied" 2>/dev/null || cksum </dev/null; }

start_engine() {
    state=$(systemctl show -p ActiveState --value docker.service)
    since=$(date +%s)
    if as_it_should_be; then
        step 'the engine is as it should be'
    else
        restart_or_start
    fi
    systemctl -q is-enabled docker.service 2>/dev/null ||
        systemctl -q enable docker.service 2>/dev/null
    "${access}_listening" || start_failed
    fingerprint >"$HOME_DIR/applied"
    rm -rf "$RUN_DIR/before"
}

restart_or_start() {
    case $state in
    active | activating | reloading)
        step "restarting the engine $why"
        in_bounds systemctl restart docker.service
        ;;
    *)
        step 'starting the engine'
        # Somebody may have knocked at the socket while it was held back.
        systemctl reset-failed docker.service docker.socket 2>/dev/null
        in_bounds systemctl start docker.service
        ;;
    esac 2>"$RUN_DIR/systemctl" || start_with_socket || start_failed
}

# A docker.socket that was masked for a while runs, but has nothing to pass on
# until it is started anew; it refuses that while the engine tries.
start_with_socket() {
    journal_of_last_try | grep -q 'no sockets found via socket activation' ||
        return
    step 'starting docker.socket anew'
    systemctl stop docker.service docker.socket 2>/dev/null
    systemctl reset-failed docker.service docker.socket 2>/dev/null
    in_bounds systemctl start docker.socket docker.service \
        2>"$RUN_DIR/systemctl"
}
