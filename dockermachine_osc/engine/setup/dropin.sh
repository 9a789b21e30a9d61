
# ---- the drop-in of docker.service ----------------------------------------

# dropin COMMAND: the command as the unit has it, with the options and what is
# ours behind it; nothing where that is nothing.
dropin() {
    flags=$(with_flags quoted)$("${access}_flags" "$1")
    [ -n "$flags$(environment)" ] || return 0
    cat <<END
# The engine of machine $machine_id, $("${access}_words").
# Made from docker.service; later changes belong into a drop-in of their own.
END
    "${access}_guard"
    cat <<END
[Service]
ExecStart=
ExecStart=$1$flags
END
    [ -z "$(environment)" ] ||
        say 'EnvironmentFile=/etc/docker-machine/environment'
}

derive() {
    take_command "$(start_line)"
    [ -n "$command" ] || fail "$EX_CONFLICT" 'docker.service has no ExecStart'
    dropin "$command"
}

# ---- holding the engine back ----------------------------------------------

# Neither the image nor a package may start the engine without TLS, only for
# it to be started again with it. What is known already is written as it will
# stay, so that systemd need not read all its units anew later.
hold_back() {
    put_guard
    ! engine_present || systemctl daemon-reload
}

put_guard() {
    there=''
    ! engine_present || there=$(unit_text | start_command)
    guard=$(whole_dropin)
    [ -n "$guard" ] || guard="# Holds the engine back until we start it.
[Unit]
ConditionPathExists=$HELD"
    (
        umask 022
        mkdir -p "$ROOT${DROPIN%/*}"
        say "$guard" >"$ROOT$DROPIN"
    )
}

HELD=/etc/docker-machine/ready

# With TLS the engine does not start before it has its certificates anyway.
whole_dropin() {
    [ "$access" = tls ] && [ -n "$there" ] || return 0
    dropin "$there"
}

let_go() {
    grep -q "^ConditionPathExists=$HELD\$" "$ROOT$DROPIN" 2>/dev/null ||
        return 0
    rm -f "$ROOT$DROPIN"
    systemctl daemon-reload
}

# What the engine reads at its start only. It is noted when the engine has
# started with it: a set-up that was cut off before that is then made up for.
fingerprint() {
    cat "$HOME_DIR"/*.pem "$ROOT$DROPIN" "$HOME_DIR/environment" \
        2>/dev/null | cksum
}

# ---- the engine's options, as units have them -----------------------------

# From here to the engine a value is one word, whatever is in it: it is read
# from a file, never evaluated.

# with_flags COMMAND...: run it with a word for each flag of dockerd behind.
with_flags() {
    if [ -r "$options" ]; then
        while IFS= read -r line || [ -n "$line" ]; do
            value=${line#* }
            case $line in
            label\ * | insecure-registry\ * | registry-mirror\ * | \
                storage-driver\ *) set -- "$@" "--${line%% *}=$value" ;;
            opt\ *) set -- "$@" "--$value" ;;
            esac
        done <"$options"
    fi
    "$@"
}

# Words in quotes of ExecStart, systemd.service(5): % and $ double there.
quoted() {
    for word in "$@"; do
        printf ' "%s"' "$(printf '%s\n' "$word" |
            sed 's/[\\"]/\\&/g; s/%/%%/g; s/\$/$$/g')"
    done
}

# The text of an EnvironmentFile, systemd.exec(5): nobody but root reads it,
# while units are for everybody to read.
environment() {
    [ -r "$options" ] || return 0
    while IFS= read -r line || [ -n "$line" ]; do
        value=${line#* }
        case $line in
        http-proxy\ *) variable HTTP_PROXY "$value" ;;
        https-proxy\ *) variable HTTPS_PROXY "$value" ;;
        no-proxy\ *) variable NO_PROXY "$value" ;;
        env\ *) variable "${value%%=*}" "${value#*=}" ;;
        esac
    done <"$options"
}

# variable NAME VALUE
variable() {
    printf '%s="%s"\n' "$1" \
        "$(printf '%s\n' "$2" | sed 's/[\\"`$]/\\&/g')"
}
