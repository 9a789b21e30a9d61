
# ---- access tls -----------------------------------------------------------

tls_check() {
    check_command
    check_daemon_json
}

tls_goods() { say ca.pem server.pem server-key.pem; }

tls_words() { say "with TLS on port $port"; }

# tls_flags COMMAND: what stands behind it. A command without -H listens on
# the socket only because nothing else is said. 0.0.0.0 is IPv6's any, too, to
# the engine.
tls_flags() {
    socket=" -H tcp://0.0.0.0:$port"
    case " $1" in *' -H'* | *' --host'*) ;; *) socket=" -H unix:///var/run/docker.sock$socket" ;; esac
    # What daemon.json says is not looked at before somebody logs in.
    [ -z "${hosts_in:-}" ] || socket=''
    say "$socket --tlsverify --tlscacert=/etc/docker-machine/ca.pem --tlscert=/etc/docker-machine/server.pem $(tls_mark)"
}

tls_guard() {
    say '[Unit]'
    say 'ConditionPathExists=/etc/docker-machine/server-key.pem'
}

# What only our drop-in says.
tls_mark() { say '--tlskey=/etc/docker-machine/server-key.pem'; }

# Type=notify: it listens by the time that `systemctl start` returns; the few
# rounds are for units of another type.
tls_listening() {
    socket=$(printf ':%04X' "$port")
    for round in 1 2 3 4 5; do
        ! awk -v s="$socket" '$4 == "0A" && substr($2, length($2) - 4) == s {
            found = 1 } END { exit !found }' /proc/net/tcp /proc/net/tcp6 \
            2>/dev/null || return 0
        sleep "0.$round"
    done
    return 1
}

tls_open() {
    if command -v firewall-cmd >/dev/null &&
        [ "$(firewall-cmd --state 2>/dev/null)" = running ] &&
        ! firewall-cmd -q --query-port "$port/tcp"; then
        step "opening port $port in firewalld"
        firewall-cmd -q --add-port "$port/tcp"
        firewall-cmd -q --permanent --add-port "$port/tcp"
        say "firewalld $port" >"$HOME_DIR/opened"
    fi
    if command -v ufw >/dev/null && ufw status | grep -q '^Status: active'; then
        ! ufw status | grep -q "^$port/tcp .*ALLOW" || return 0
        step "opening port $port in ufw"
        ufw allow "$port/tcp" >/dev/null
        say "ufw $port" >"$HOME_DIR/opened"
    fi
}
