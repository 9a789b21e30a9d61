
# ---- access ssh: the engine stays on its socket ---------------------------

# docker runs `docker system dial-stdio` here.
ssh_check() {
    command -v docker >/dev/null || fail "$EX_INSTALL" \
        'there is no docker command on this host, which docker needs over SSH' \
        'install it (on Debian 13 the package docker-cli), or leave --access ssh out'
}

ssh_goods() { :; }

ssh_words() { say 'on its socket'; }

ssh_flags() { :; }

ssh_guard() { :; }

ssh_mark() { :; }

# Type=notify: it answers by the time that `systemctl start` returns; the few
# rounds are for units of another type.
ssh_listening() {
    for round in 1 2 3 4 5; do
        ! docker version >/dev/null 2>&1 </dev/null || return 0
        sleep "0.$round"
    done
    return 1
}

ssh_open() {
    login=$(login_name)
    ! needs_group || let_in
    prove_socket
}

# Whoever logs in, through sudo or not, is who docker comes as.
login_name() { say "${SUDO_USER:-$(id -un)}"; }

# as_login COMMAND: with the groups that a new login will have.
as_login() {
    if [ "$login" = "$(id -un)" ]; then
        sh -c "$1"
    else
        su -s /bin/sh "$login" -c "$1"
    fi
}

# Who may use the socket, and so is as good as root on this host.
GROUP=docker

# needs_group: whether $login is yet to be let to the socket.
needs_group() {
    [ "$login" != root ] || return 1
    case " $(id -nG "$login" 2>/dev/null) " in *" $GROUP "*) return 1 ;; esac
    ! as_login 'docker version' >/dev/null 2>&1 </dev/null
}

let_in() {
    step "adding user $login to group $GROUP"
    usermod -a -G "$GROUP" "$login" || fail "$EX_START" \
        "user $login cannot be added to group $GROUP" \
        "usermod -a -G $GROUP $login on the host says why"
    say "$login" >"$HOME_DIR/member"
}

# Take a user out again that `let_in` has put in.
shut_out() {
    [ -s "$HOME_DIR/member" ] || return 0
    read -r login <"$HOME_DIR/member"
    step "taking user $login out of group $GROUP again"
    gpasswd -d "$login" "$GROUP" >/dev/null
}

# As docker will: as the login user, by the docker command here.
prove_socket() {
    step 'asking the engine through its socket'
    said=$RUN_DIR/answer
    as_login 'docker version' >/dev/null 2>"$said" </dev/null ||
        fail "$EX_START" "the engine does not answer user $login$(because)" \
            'journalctl -u docker.service on the host has the whole story'
    as_login 'printf "GET /_ping HTTP/1.0\r\n\r\n" | docker system dial-stdio' \
        2>"$said" | head -n 1 | grep -q '^HTTP/1.[01] 200' ||
        fail "$EX_START" "docker over SSH does not get through$(because)" \
            'docker on the host has to know "docker system dial-stdio": 18.09 or newer'
}

because() {
    clean <"$said" | grep . | tail -n 1 | cut -c 1-200 | sed 's/^/: /'
}
