
# ---- a certificate that the host makes for itself ---------------------------

SHOWN_CERTIFICATE=$RUN_DIR/self-signed.pem
own=$RUN_DIR/self-signed

# An engine that is in the image starts with the boot, and need not wait for
# somebody to bring its key: the host makes one. Clients with a certificate of
# the CA are let in. Where anything is unusual, or goes wrong, it waits as ever.
serve_at_once() {
    starts_as_it_is && starts_at_boot && sign && take_own
}

# The same for one that is about to be installed by a package that starts it.
# What the console says is waited for, so it is said only if that is likely.
sign_ahead() {
    [ -e "$RUN_DIR/pending" ] && [ ! -s "$SHOWN_CERTIFICATE" ] || return 0
    read_os_release
    [ "$(choose_method)" = apt ] && sign || return 0
    tell 'installing engine'
}

# unpacked: the engine is here, and its package has not started it yet.
# Whoever has logged in meanwhile to hand over a certificate has the say.
unpacked() {
    engine_present && [ -s "$own/key" ] || return 0
    load_settings "$HOME_DIR/settings"
    (
        alone && starts_as_it_is || exit 0
        put_guard
        take_own
    )
}

# Whether the unit and the settings of the engine are such that our drop-in
# is all that it takes.
starts_as_it_is() {
    case " $(unit_text | start_command) " in
    '  ' | *' --tls'* | *tcp://* | *' --config-file'*) return 1 ;;
    esac
    ! grep -qs '"\(hosts\|tls\)' "$ROOT/etc/docker/daemon.json"
}

# As `systemctl is-enabled`, which waits for systemd.
starts_at_boot() {
    [ -L "$ROOT/etc/systemd/system/multi-user.target.wants/docker.service" ]
}

# sign: make a key and a certificate if that is asked for and can be done.
sign() {
    [ "$access" = tls ] && [ -n "$self_signed" ] &&
        [ -s "$RUN_DIR/ca.pem" ] && command -v openssl >/dev/null || return 1
    mkdir -p "$own"
    self_sign >"$own/log" 2>&1 && mv "$own/certificate" "$SHOWN_CERTIFICATE" &&
        return
    rm -f "$own/key"
    return 1
}

# From here on they are what the engine is about to start with.
take_own() {
    cat "$RUN_DIR/ca.pem" >"$HOME_DIR/ca.pem"
    cat "$SHOWN_CERTIFICATE" >"$HOME_DIR/server.pem"
    cat "$own/key" >"$HOME_DIR/server-key.pem"
    fingerprint >"$HOME_DIR/applied"
    rm -f "$own/key"
}

# `openssl req -x509` would take the dates from the clock of the host.
self_sign() {
    IFS=' ' read -r from until names <<END
$self_signed
END
    first=${names%%,*}
    cat >"$own/config" <<END
[req]
distinguished_name = name
prompt = no
[name]
CN = ${first#*:}
[ca]
default_ca = own
[own]
database = $own/index
new_certs_dir = $own
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = extensions
[any]
commonName = supplied
[extensions]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
subjectAltName = $names
END
    : >"$own/index"
    openssl req -new -config "$own/config" -nodes -newkey ec \
        -pkeyopt ec_paramgen_curve:prime256v1 -keyout "$own/key" \
        -out "$own/request" &&
        openssl ca -batch -selfsign -notext -config "$own/config" \
            -keyfile "$own/key" -in "$own/request" -startdate "$from" \
            -enddate "$until" -out "$own/certificate"
}

# On the console, for whoever made the server.
tell_certificate() {
    [ ! -s "$SHOWN_CERTIFICATE" ] ||
        tell "certificate $(sed '/^-/d' "$SHOWN_CERTIFICATE" | tr -d '\n')"
}
