
# ---- carried by cloud-init ------------------------------------------------

# One line, one write, so that nothing gets in between. It begins with a new
# line because whoever wrote before us may not have ended theirs, and says
# where it ends because a console may lose the rest.
console() {
    printf '\ndocker-machine %s %s end\n' "$machine_id" "$*" \
        >>"$ROOT/dev/console" 2>/dev/null || :
}

# early SETTINGS OPTIONS CA: once an instance, before the engine of the image
# could start. The options are those that the installer needs; clients with a
# certificate of the CA are let in.
early() {
    before=$(sed -n 's/^machine_id=//p' "$HOME_DIR/settings" 2>/dev/null)
    printf '%s' "$1" >"$HOME_DIR/settings.new"
    load_settings "$HOME_DIR/settings.new"
    mv "$HOME_DIR/settings.new" "$HOME_DIR/settings"
    # After `cloud-init clean` we get here again with everything in place.
    if [ "$before" = "$machine_id" ] && [ -e "$HOME_DIR/applied" ]; then
        background report
        return
    fi
    begin "${2:-}" "${3:-}"
    if engine_present; then
        # Its start waits for that, cloud-init does not.
        background prepare --property Before=docker.service \
            --property Type=oneshot || prepare
        return
    fi
    background report
    # As soon as the package sources are set; the user's own data come first.
    [ "$hold" -gt 0 ] || [ ! -e "$RUN_DIR/pending" ] ||
        background install --property After=cloud-config.service \
            --property KillMode=process
}

# begin OPTIONS CA: what an image made from another machine brought along goes.
begin() {
    rm -f "$HOME_DIR"/*.pem "$HOME_DIR/applied" "$ROOT$DROPIN" \
        "$HOME_DIR/options" "$HOME_DIR/environment" "$HOME_DIR/installing"
    mkdir -p "$RUN_DIR"
    # From source none the engine belongs to the user's own data until we are
    # called.
    if [ "$source" != none ]; then
        put_guard
        engine_present || [ "$defer" = yes ] || : >"$RUN_DIR/pending"
    fi
    [ -z "$1" ] || printf '%s' "$1" >"$HOME_DIR/options"
    [ -z "$2" ] || printf '%s' "$2" >"$RUN_DIR/ca.pem"
}

# The engine of the image: that systemd knows what was written for it. Whoever
# has logged in meanwhile to hand over a certificate has the say.
prepare() {
    load_settings "$HOME_DIR/settings"
    systemctl daemon-reload &
    reload=$!
    (alone && [ ! -e "$HOME_DIR/applied" ] && serve_at_once)
    wait "$reload"
    # Not before: whoever reads the host's keys there goes by what is there of
    # a certificate.
    background report
}

# background VERB [OPTIONS]: beside cloud-init instead of inside of it.
background() {
    verb=$1
    shift
    systemd-run --quiet --no-block --collect --unit "docker-machine-$verb" \
        --property DefaultDependencies=no "$@" \
        sh "$HOME_DIR/setup.sh" "$verb"
}

# ---- on the console -------------------------------------------------------

cloud_init_done() { [ -e "$ROOT/run/cloud-init/result.json" ]; }

# Who may log in with our key is not guessed from the image: it is the user
# in whose authorized_keys cloud-init has put it. Tells host keys as they come.
report() {
    load_settings "$HOME_DIR/settings"
    told=''
    rounds=0
    sign_ahead
    tell_certificate
    while [ "$rounds" -lt 6000 ]; do
        rounds=$((rounds + 1))
        ! cloud_init_done || rounds=$((rounds + 1000))
        if login=$(login_user); then
            tell "login $login"
            for file in "$ROOT"/etc/ssh/ssh_host_*_key.pub; do
                [ ! -s "$file" ] || tell_host_key "$file"
            done
        fi
        sleep 0.1
    done
    [ -n "$login" ] || console "failed no user has the machine's public key"
    tell_again
}

tell() {
    case $NEWLINE$told in *"$NEWLINE$1$NEWLINE"*) return ;; esac
    told=$told$1$NEWLINE
    console "$1"
}

# Consoles lose lines at boot; by now it is quiet.
tell_again() {
    printf '%s' "$told" | while IFS= read -r fact; do console "$fact"; done
}

tell_host_key() {
    read -r type key rest <"$1" || [ -n "$type" ] || return 0
    case $type$key in *[!A-Za-z0-9+/=@.-]*) return ;; esac
    tell "hostkey $type $key"
}

# Nobody, until cloud-init has written this boot's keys: an image may bring
# an authorized_keys with the same key, and host keys that are yet to go.
login_user() {
    written=$ROOT/var/lib/cloud/instance/sem/config_ssh
    [ -e "$written" ] || return 1
    blob=${public_key#* }
    blob=${blob%% *}
    fallback=''
    while IFS=: read -r name _ _ _ _ home shell; do
        case $shell in *nologin | */false) continue ;; esac
        keys=$ROOT$home/.ssh/authorized_keys
        # shellcheck disable=SC3013 # every sh in use has -nt
        if [ ! -r "$keys" ] || [ "$written" -nt "$keys" ] ||
            ! grants "$keys"; then
            continue
        fi
        [ "$name" = root ] || { say "$name" && return; }
        fallback=root
    done <"$ROOT/etc/passwd"
    [ -n "$fallback" ] && say "$fallback"
}

# cloud-init leaves the key with root, too, but with a command in front that
# only says whom to log in as.
grants() {
    while read -r line || [ -n "$line" ]; do
        case $line in
        *command=*) ;;
        *" $blob" | *" $blob "*) return 0 ;;
        esac
    done <"$1"
    return 1
}

# ---- from runcmd ----------------------------------------------------------

# Called twice where `early` could start it ahead of runcmd: then runcmd waits
# for the first, so that cloud-init is not done before the engine is there.
install_from_boot() {
    load_settings "$HOME_DIR/settings"
    [ "$source" != none ] || return 0
    if [ "$defer" = yes ]; then
        # The proxy has a password, which comes over SSH.
        await_handover
        return
    fi
    later_tries=1
    if install_once; then
        console "installed $(engine_version)"
    else
        cause=$(sed -n 's/^failed //p' "$LOG" | tr -cd ' -~' | cut -c 1-200)
        console "failed ${cause:-the installation ended with an error}"
    fi
    clean <"$LOG"
    await_handover
}

# The user's own commands come next, and expect an engine that runs.
await_handover() {
    while [ "$hold" -gt 0 ] && ! systemctl -q is-active docker.service; do
        hold=$((hold - 1))
        sleep 1
    done
}
