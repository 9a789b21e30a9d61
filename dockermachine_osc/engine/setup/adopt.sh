
# ---- somebody else's host: look first, take everything back ---------------

# look DIR: what is here, and what `serve` would do; changes nothing.
look() {
    stage=$1
    choose_options
    load_settings "$1/settings"
    read_os_release
    fact distribution "${os_id:-unknown} ${os_version:-}"
    tell_keys
    tell_member
    fact machine "$(machine_here)"
    if engine_present; then
        look_at_engine
    else
        fact engine none
        method=$(choose_method)
        fact method "$method"
        check_method
    fi
}

# fact NAME VALUE
fact() { say "fact $*"; }

# The id of the machine that this host is already, if it is one.
machine_here() { sed -n 's/^machine_id=//p' "$HOME_DIR/settings" 2>/dev/null; }

# Two people may adopt a server at once: the file `found` has what `look` told
# whoever hands over, and the first to come is the one whose machine it is.
check_found() {
    [ -e "$stage/found" ] || return 0
    here=$(machine_here)
    case $here in
    "$machine_id" | "$(cat "$stage/found")") ;;
    *) fail "$EX_TAKEN" "the host has become machine $here meanwhile" ;;
    esac
}

tell_keys() {
    for file in "$ROOT"/etc/ssh/ssh_host_*_key.pub; do
        [ -s "$file" ] || continue
        read -r type key rest <"$file" || [ -n "$type" ] || continue
        fact hostkey "$type $key"
    done
}

look_at_engine() {
    fact engine "$(engine_version)"
    fact state "$(systemctl show -p ActiveState --value docker.service)"
    look_at_containers
    [ "$options" = "$HOME_DIR/options" ] ||
        same "$options" "$HOME_DIR/options" || fact options differ
    require_version
    check_unit
    "${access}_check"
    [ -z "$hosts_in" ] || has_listener || fact hosts "$hosts_in"
    ask_engine
}

# The user whom `serve` would add to the group of the socket, if any.
tell_member() {
    [ "$access" = ssh ] || return 0
    login=$(login_name)
    ! needs_group || fact member "$login"
}

look_at_containers() {
    command -v docker >/dev/null || return 0
    ! systemctl -q is-active docker.service && return 0
    fact containers "$(docker ps -q 2>/dev/null | grep -c .)"
    fact live-restore \
        "$(docker info --format '{{.LiveRestoreEnabled}}' 2>/dev/null)"
}

# leave: take back what `serve` and `install` have changed here.
leave() {
    [ -e "$HOME_DIR/setup.sh" ] || [ -e "$ROOT$DROPIN" ] || {
        step 'nothing is left to be taken back'
        say 'ready gone'
        return
    }
    [ ! -r "$HOME_DIR/settings" ] || load_settings "$HOME_DIR/settings"
    close_firewall
    shut_out
    touched=no
    [ ! -e "$ROOT$DROPIN" ] || touched=yes
    installed=$(cat "$HOME_DIR/installed" 2>/dev/null)
    state=$(systemctl show -p ActiveState --value docker.service)
    remove_listener
    rm -f "$ROOT$DROPIN"
    rmdir "$ROOT${DROPIN%/*}" 2>/dev/null
    drop_registries
    rm -rf "$HOME_DIR"
    systemctl daemon-reload
    if [ -n "$installed" ] && is_unused; then
        uninstall
    elif [ "$state-$touched" = active-yes ]; then
        step 'restarting the engine as it was before'
        systemctl restart docker.service || fail "$EX_START" \
            'the engine does not start without us' \
            'journalctl -u docker.service on the host has the whole story'
    fi
    say 'ready gone'
}

# An engine that does not answer may hold anything.
is_unused() {
    for things in 'ps -aq' 'images -q' 'volume ls -q'; do
        # shellcheck disable=SC2086 # a list of words
        held=$(docker $things 2>/dev/null) || return 1
        [ -z "$held" ] || return 1
    done
}

# Only what came with us, and only while nobody has used it.
uninstall() {
    step 'removing the packages of the engine'
    # shellcheck disable=SC2086 # a list of words
    case $installed in
    apt\ *) apt purge -y ${installed#apt } >/dev/null ;;
    dnf\ *) dnf -y -q remove ${installed#dnf } ;;
    zypper\ *) zypper --non-interactive remove ${installed#zypper } ;;
    esac || fail "$EX_INSTALL" 'the packages of the engine cannot be removed'
}

# Kept so that only what we opened is closed again.
close_firewall() {
    opened=$(cat "$HOME_DIR/opened" 2>/dev/null)
    case $opened in
    firewalld\ *)
        firewall-cmd -q --remove-port "${opened#* }/tcp"
        firewall-cmd -q --permanent --remove-port "${opened#* }/tcp"
        ;;
    ufw\ *) ufw delete allow "${opened#* }/tcp" >/dev/null ;;
    esac
}
