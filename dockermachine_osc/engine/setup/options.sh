
# ---- the engine's options -------------------------------------------------

# check_options: the file has only lines that are known below.
check_options() {
    [ -e "$options" ] || return 0
    unknown=$(grep -avE "^($OPTION_WORDS) ." "$options" | head -n 1)
    [ -z "$unknown" ] || fail "$EX_USAGE" \
        "the options in $options are damaged: ${unknown%% *}"
}

OPTION_WORDS='label|insecure-registry|registry-mirror|storage-driver|opt|http-proxy|https-proxy|no-proxy|env|registry-ca'

# ---- the engine is asked first --------------------------------------------

# What the engine refuses must never get as far as its unit.
ask_engine() {
    check_options
    [ -s "$options" ] || return 0
    program=$(say "$command" | sed 's/^[-@:+!]*//; s/ .*//')
    config=$(config_file)
    said=$(validate --validate) && return
    case $said in
    *'unknown flag: --validate'*)
        # Before 23.0. Without root's rights it looks through all that it is
        # told before it asks for them, and has created nothing by then.
        said=$(validate_as_nobody)
        case $said in *'with root'* | *'permission denied'* | '') return 0 ;; esac
        ;;
    esac
    why=$(say "$said" | clean | grep -v "^See '\|^Usage:\|^ *$" |
        tail -n 1 | sed 's/^Status: //' | cut -c 1-300)
    fail "$EX_CONFLICT" \
        "the engine refuses its options: ${why:-it does not say why}" \
        'nothing was changed; see what the host itself sets: systemctl cat docker.service, and daemon.json'
}

validate() {
    with_flags "$program" "$@" ${config:+--config-file="$ROOT$config"} \
        2>&1 </dev/null
}

validate_as_nobody() {
    nobody=65534
    command -v setpriv >/dev/null || return 0
    program_before=$program
    program=setpriv
    validate --reuid "$nobody" --regid "$nobody" --clear-groups \
        "$program_before"
}

# ---- registries -----------------------------------------------------------

CERTS=$ROOT/etc/docker/certs.d

# The engine reads these whenever it talks to a registry.
put_registries() {
    listed=$RUN_DIR/registries
    [ ! -e "$options" ] || sed -n 's/^registry-ca //p' "$options" >"$listed"
    for folder in "$HOME_DIR/registries"/*; do
        [ -d "$folder" ] || continue
        cut -d ' ' -f 1 "$listed" | grep -qxF -e "${folder##*/}" ||
            drop_registry "${folder##*/}"
    done
    [ -e "$listed" ] || return 0
    while read -r name encoded; do
        case $name in */* | .*) fail "$EX_USAGE" 'no name of a registry' ;; esac
        say "$encoded" | base64 -d >"$RUN_DIR/ca.crt" ||
            fail "$EX_USAGE" "the CA of $name is damaged"
        same "$RUN_DIR/ca.crt" "$CERTS/$name/ca.crt" || put_registry
    done <"$listed"
    rm -f "$listed" "$RUN_DIR/ca.crt"
}

# What stands there and is not ours is kept, to be put back one day.
put_registry() {
    step "trusting the CA of registry $name"
    kept=$HOME_DIR/registries/$name
    mkdir -p "$kept"
    if ! same "$kept/ours" "$CERTS/$name/ca.crt"; then
        rm -f "$kept/before"
        [ ! -e "$CERTS/$name/ca.crt" ] ||
            cat "$CERTS/$name/ca.crt" >"$kept/before"
    fi
    cat "$RUN_DIR/ca.crt" >"$kept/ours"
    (
        umask 022
        mkdir -p "$CERTS/$name" &&
            cat "$kept/ours" >"$CERTS/$name/ca.crt.new" &&
            mv -f "$CERTS/$name/ca.crt.new" "$CERTS/$name/ca.crt"
    ) || fail "$EX_START" "$CERTS/$name/ca.crt cannot be written"
}

# drop_registry NAME: unless somebody has changed it since.
drop_registry() {
    kept=$HOME_DIR/registries/$1
    if [ -e "$kept/ours" ] && same "$kept/ours" "$CERTS/$1/ca.crt"; then
        if [ -e "$kept/before" ]; then
            cat "$kept/before" >"$CERTS/$1/ca.crt"
        else
            rm -f "$CERTS/$1/ca.crt"
            rmdir "$CERTS/$1" "$CERTS" 2>/dev/null
        fi
    fi
    rm -rf "$kept"
}

drop_registries() {
    for folder in "$HOME_DIR/registries"/*; do
        [ ! -d "$folder" ] || drop_registry "${folder##*/}"
    done
}

# ---- taking options over --------------------------------------------------

# Whoever brings no options leaves those that are here.
choose_options() { [ ! -e "$stage/options" ] || options=$stage/options; }

# The environment is made of the options anew, as is the drop-in. What was
# there before is kept until the engine has started.
take_options() {
    for name in options environment; do
        rm -f "$RUN_DIR/$name.before"
        [ ! -e "$HOME_DIR/$name" ] ||
            cat "$HOME_DIR/$name" >"$RUN_DIR/$name.before"
    done
    environment >"$HOME_DIR/environment.new" || return 1
    [ "$options" != "$stage/options" ] || same "$options" \
        "$HOME_DIR/options" || cat "$options" >"$HOME_DIR/options.new"
}

put_options_back() {
    for name in options environment; do
        if [ -e "$RUN_DIR/$name.before" ]; then
            cat "$RUN_DIR/$name.before" >"$HOME_DIR/$name"
        else
            rm -f "$HOME_DIR/$name"
        fi
    done
}

# ---- changed later --------------------------------------------------------

# options: say what is set here, and who would feel a restart.
tell_options() {
    [ -r "$HOME_DIR/settings" ] || fail "$EX_USAGE" \
        'this host has not been set up' \
        'set it up first: openstack docker machine provision'
    look_at_containers
    [ ! -e "$options" ] || sed 's/^/option /' "$options"
    say 'ready told'
}

# configure DIR WAIT: DIR has setup.sh and options; the rest stays.
configure() {
    begin_stage "$1" "$2"
    configuring=yes
    why='with its new options'
    [ -e "$HOME_DIR/applied" ] || fail "$EX_USAGE" \
        'this host has not been set up' \
        'set it up first: openstack docker machine provision'
    load_settings "$HOME_DIR/settings"
    one_at_a_time
    check_unit
    "${access}_check"
    ask_engine
    take_over setup.sh
    write_dropin
    put_listener
    start_engine
    put_registries
    say "ready $(engine_version)"
}

# ---- a script of the user's -----------------------------------------------

# Once, as root, with the engine there. Not where it was handed over: there
# nothing may be run from on some hosts.
run_post_script() {
    [ -s "$stage/post-script" ] || return 0
    step 'running the post-script'
    script=$HOME_DIR/post-script
    cat "$stage/post-script" >"$script" && chmod 700 "$script"
    (
        umask 022
        unset LC_ALL
        HOME=/root
        export HOME
        use_proxies
        cd / && exec setsid "$script"
    ) >"$RUN_DIR/post-script.log" 2>&1 </dev/null 8>&- &
    running=$!
    rounds=0
    while kill -0 "$running" 2>/dev/null; do
        post_script_in_time
        sleep 0.1
    done
    wait "$running"
    code=$?
    # What it has left running is to run on.
    running=''
    rm -f "$script"
    [ "$code" = 0 ] || post_script_failed "it ended with exit code $code"
}

# Saying something ends us if nobody listens any more.
post_script_in_time() {
    rounds=$((rounds + 1))
    [ $((rounds % 20)) = 0 ] || return 0
    say alive
    uptime_seconds
    [ "$now" -ge "$limit" ] || return 0
    post_script_failed 'it did not end in time'
}

post_script_failed() {
    tail_of <"$RUN_DIR/post-script.log"
    fail "$EX_SCRIPT" "the post-script failed: $1" \
        'its whole output is in /run/docker-machine/post-script.log on the host'
}

# All that we began ends with us.
end_stage() {
    rm -rf "$stage"
    rm -f "$HOME_DIR/post-script"
    [ -z "$running" ] || kill -- "-$running" 2>/dev/null
}
