
# ---- a certificate that the host makes for itself ---------------------------

SHOWN_CERTIFICATE=$RUN_DIR/self-signed.pem

# An engine that is in the image starts with the boot, and need not wait for
# somebody to bring its key: the host makes one. Clients with a certificate of
# the CA are let in. Where anything is unusual, or goes wrong, it waits as ever.
serve_at_once() {
    [ -n "$self_signed" ] && [ -s "$RUN_DIR/ca.pem" ] && starts_as_it_is &&
        command -v openssl >/dev/null || return 0
    own=$RUN_DIR/self-signed
    mkdir -p "$own"
    if self_sign >"$own/log" 2>&1; then
        cat "$RUN_DIR/ca.pem" >"$HOME_DIR/ca.pem"
        cat "$own/certificate" >"$HOME_DIR/server.pem"
        cat "$own/key" >"$HOME_DIR/server-key.pem"
        # What the engine is about to start with.
        fingerprint >"$HOME_DIR/applied"
        mv "$own/certificate" "$SHOWN_CERTIFICATE"
    fi
    rm -f "$own/key"
}

# Whether the unit and the settings of the engine are such that our drop-in
# is all that it takes. As `systemctl is-enabled`, which waits for systemd.
starts_as_it_is() {
    [ "$access" = tls ] &&
        [ -L "$ROOT/etc/systemd/system/multi-user.target.wants/docker.service" ] ||
        return 1
    case " $(unit_text | start_command) " in
    '  ' | *' --tls'* | *tcp://* | *' --config-file'*) return 1 ;;
    esac
    ! grep -qs '"\(hosts\|tls\)' "$ROOT/etc/docker/daemon.json"
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
