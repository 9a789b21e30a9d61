
# ---- apt -------------------------------------------------------------------

apt_conf=''

# The host's own setting of apt would win over the environment.
proxies_to_install() {
    use_proxies
    [ -n "${http_proxy:-}${https_proxy:-}" ] || return 0
    apt_conf=$RUN_DIR/apt.conf
    (
        umask 077
        {
            say "Acquire::http::Proxy \"${http_proxy:-}\";"
            say "Acquire::https::Proxy \"${https_proxy:-}\";"
        } >"$apt_conf"
    )
}

# Seconds to wait for another one who installs.
patience=300

apt() { (become_apt "$@"); }

become_apt() {
    DEBIAN_FRONTEND=noninteractive
    APT_LISTCHANGES_FRONTEND=none
    NEEDRESTART_SUSPEND=1
    export DEBIAN_FRONTEND APT_LISTCHANGES_FRONTEND NEEDRESTART_SUSPEND
    exec apt-get -q ${apt_conf:+-c "$apt_conf"} \
        -o DPkg::Lock::Timeout="$patience" -o Dpkg::Use-Pty=0 \
        -o Dpkg::Options::=--force-confold \
        -o Dpkg::Options::=--force-unsafe-io \
        -o Acquire::Languages=none -o Acquire::Retries=1 \
        -o APT::Install-Recommends=false "$@" </dev/null
}

apt_install() {
    # A reboot may have come in between.
    [ -z "$(ls -A "$ROOT/var/lib/dpkg/updates" 2>/dev/null)" ] ||
        dpkg --configure -a
    step 'fetching the lists of packages'
    apt_update
    packages=$(apt_packages)
    if [ -n "$version" ]; then
        packages=$(apt_pin "$packages") || apt_no_version
    fi
    step "installing ${packages%% *}"
    apt_list >"$RUN_DIR/packages"
    begin_to_change
    # shellcheck disable=SC2086 # a list of words
    set -- install -y $packages
    # dpkg runs that whenever it begins to unpack or to configure, dpkg(1); it
    # would end if that failed.
    [ ! -s "$SHOWN_CERTIFICATE" ] || set -- -o \
        "Dpkg::Options::=--pre-invoke=sh $HOME_DIR/setup.sh unpacked || :" "$@"
    apt "$@" || fail "$EX_INSTALL" "$(apt_cause)" "$(hint_of_log)"
    brought apt "$(apt_list | grep -vxF -f "$RUN_DIR/packages" | tr '\n' ' ')"
}

apt_list() {
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' |
        sed -n 's/^installed //p'
}

# brought METHOD PACKAGES: what `leave` may remove again.
brought() { say "$1 $2" >"$HOME_DIR/installed"; }

# How often a network that is not there yet is tried again: a server that has
# just booted may get its way out a little later.
later_tries=0

# The lock of the lists is the one that apt-get does not wait for.
apt_update() {
    tries=0
    until apt_lists; do
        tries=$((tries + 1))
        if tail -n 3 "$LOG" | grep -q 'Could not get lock'; then
            [ "$tries" -lt "$patience" ] ||
                fail "$EX_INSTALL" "$(apt_cause)" "$(hint_of_log)"
        elif [ "$in_vain" = no ]; then
            fail "$EX_INSTALL" "$(apt_cause)" "$(hint_of_log)"
        else
            [ "$later_tries" -gt 0 ] || apt_unreachable
            later_tries=$((later_tries - 1))
            sleep 3
        fi
        sleep 1
    done
}

# apt-get takes minutes to see that nobody answers, as it asks again for each
# list. Ended as soon as that is plain; `in_vain` tells.
apt_lists() {
    in_vain=no
    begun=$(grep -c '' "$LOG")
    become_apt update &
    fetching=$!
    rounds=0
    while kill -0 "$fetching" 2>/dev/null; do
        sleep 0.1
        rounds=$((rounds + 1))
        if [ $((rounds % 10)) = 0 ] && nothing_comes; then
            in_vain=yes
            kill "$fetching"
            break
        fi
    done
    wait "$fetching" 2>/dev/null && [ "$in_vain" = no ] || return
    # It ends well also if all that it has are lists of another day.
    ! fetched '^Get:\|^Hit:' && fetched '^Err:' || return 0
    in_vain=yes
    return 1
}

fetched() { tail -n "+$((begun + 1))" "$LOG" | grep -q "$1"; }

# Tenths of a second without a byte, after a failure and without one.
patience_failed=60
patience_silent=120

nothing_comes() {
    [ "$rounds" -ge "$patience_failed" ] || return 1
    ! fetched '^Get:\|^Hit:\|Could not get lock' || return 1
    [ "$rounds" -ge "$patience_silent" ] || fetched '^Ign:\|^Err:'
}

apt_unreachable() {
    cause=$(sed -n 's/^W: Failed to fetch //p' "$LOG" | head -n 1)
    [ -n "$cause" ] || cause=$(apt_silence)
    fail "$EX_INSTALL" "apt-get: $(say "$cause" | cut -c 1-300)" "$(way_out)"
}

way_out() {
    say 'has the host a way out? See the router and the name servers of its network; --http-proxy names a proxy, an image with Docker inside needs none'
}

# What apt-get was ended before it could say.
apt_silence() {
    mirror=$(apt --print-uris update 2>/dev/null |
        sed -n "s#^'[a-z+]*://\([^/:']*\).*#\1#p" | head -n 1)
    address=$(getent hosts "${mirror:-.}" | sed 's/ .*//;q')
    [ -z "${http_proxy:-}" ] || address=${http_proxy##*@}
    if [ -z "$mirror" ] || [ -n "$address" ]; then
        say "no answer from ${mirror:-any mirror}${address:+ at $address}"
    else
        say "the name of $mirror cannot be resolved: no answer from$(
            sed -n 's/^nameserver//p' "$ROOT/etc/resolv.conf" | tr '\n' ',' |
                sed 's/,$//'
        )"
    fi
}

apt_packages() {
    packages='docker.io iptables ca-certificates'
    # Debian 13 has the docker command in a package of its own.
    [ -z "$(apt_versions docker-cli)" ] || packages="$packages docker-cli"
    # Without the parser the engine cannot load its default profile, and says
    # so at every `docker run`.
    enabled=$ROOT/sys/module/apparmor/parameters/enabled
    if [ "$(cat "$enabled" 2>/dev/null)" = Y ] &&
        ! command -v apparmor_parser >/dev/null; then
        packages="$packages apparmor"
    fi
    say "$packages"
}

# Newest first.
apt_versions() {
    apt-cache madison "$1" 2>/dev/null | sed 's/^[^|]*| *\([^ |]*\).*/\1/'
}

# apt_pin PACKAGES: the same, the engine's own ones with the wanted version.
apt_pin() {
    pinned=''
    for package in $1; do
        case $package in
        docker.io | docker-cli)
            found=$(apt_candidate "$package")
            [ -n "$found" ] || return 1
            package=$package=$found
            ;;
        esac
        pinned="$pinned $package"
    done
    say "${pinned# }"
}

# The very version that was asked for, else the newest that begins with it.
apt_candidate() {
    newest=''
    for candidate in $(apt_versions "$1"); do
        [ "$candidate" != "$version" ] || { say "$candidate" && return; }
        [ -n "$newest" ] || ! matches "${candidate#*:}" "$version" ||
            newest=$candidate
    done
    say "$newest"
}

apt_no_version() {
    there=$(apt_versions docker.io | sort -u | tr '\n' ' ')
    fail "$EX_INSTALL" \
        "there is no docker.io $version for this host, only: ${there% }" \
        'leave --engine-version out, or use --engine-source docker'
}

# What went wrong first: a failed download says more than what follows it, and
# a full disk or a package that fails more than that dpkg did.
apt_cause() {
    cause=$(grep -m 1 'No space left on device\|Read-only file system' "$LOG" |
        sed 's/^ *//')
    [ -n "$cause" ] || cause=$(sed -n 's/^W: Failed to fetch //p; s/^E: //p' \
        "$LOG" | grep -v '^Unable to locate\|^Package .* has no\|^Sub-process' |
        head -n 1)
    [ -n "$cause" ] || cause=$(grep -A 1 '^dpkg: error' "$LOG" | head -n 2 |
        sed 's/^ *//' | tr '\n' ' ')
    [ -n "$cause" ] || cause=$(sed -n 's/^E: //p' "$LOG" | head -n 1)
    case $cause in *' Release file.')
        cause="$cause $(grep -A 1 -m 1 '^Err:' "$LOG" | sed -n '2s/^ *//p')" ;;
    esac
    say "apt-get: ${cause:-ended with an error}"
}
