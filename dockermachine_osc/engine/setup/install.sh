
# ---- the distribution -----------------------------------------------------

os_id=''
os_version=''
os_like=''

# os-release is a shell file by definition; that is why it is not run.
read_os_release() {
    file=$ROOT/etc/os-release
    [ -r "$file" ] || file=$ROOT/usr/lib/os-release
    [ -r "$file" ] || return 0
    while IFS= read -r line || [ -n "$line" ]; do
        line=${line%"$CR"}
        value=${line#*=}
        case $value in
        \"*\") value=${value#\"} value=${value%\"} ;;
        \'*\') value=${value#\'} value=${value%\'} ;;
        esac
        case $value in *[!A-Za-z0-9\ ._-]*) continue ;; esac
        case $line in
        ID=*) os_id=$value ;;
        VERSION_ID=*) os_version=$value ;;
        ID_LIKE=*) os_like=$value ;;
        esac
    done <"$file"
}

# How the engine comes to this host.
choose_method() {
    case $source in
    auto | distribution) distribution_method ;;
    docker) script_method ;;
    image) say image ;;
    none) say none ;;
    http://* | https://*) say url ;;
    *) say unsupported ;;
    esac
}

distribution_method() {
    case $os_id in
    debian | ubuntu) say apt ;;
    fedora) say dnf ;;
    opensuse-leap | opensuse-tumbleweed | opensuse | sles | sled) say zypper ;;
    flatcar) say image ;;
    rhel | centos | rocky | almalinux | ol)
        # None of these has an engine of its own.
        if [ "$source" = auto ]; then script_method; else say unsupported; fi
        ;;
    *) ancestor_method ;;
    esac
}

# An unknown ID is treated as the distribution that it says it descends from.
ancestor_method() {
    for ancestor in $os_like; do
        case $ancestor in
        debian | ubuntu) say apt && return ;;
        suse | opensuse) say zypper && return ;;
        esac
    done
    say unsupported
}

script_method() {
    case $os_id in
    debian | ubuntu | raspbian | fedora | rhel | centos | rocky) say script ;;
    # Compatible with one that the script knows; it looks at the ID only.
    almalinux) say script-as-centos ;;
    ol) say script-as-rhel ;;
    *) say unsupported ;;
    esac
}

plan() {
    read_os_release
    method=$(choose_method)
    say "id ${os_id:-unknown}"
    say "version ${os_version:-unknown}"
    if engine_present; then say 'engine present'; else say 'engine absent'; fi
    say "method $method"
}

# ---- installing -----------------------------------------------------------

# Refuse what can be seen to come to nothing.
check_method() {
    [ ! -e "$ROOT/etc/systemd/system/snap.docker.dockerd.service" ] ||
        fail "$EX_CONFLICT" \
            'Docker is installed as a snap here, which cannot be set up for TLS' \
            'use an image without that snap (snap remove docker)'
    case $method in
    image) fail "$EX_INSTALL" 'there is no Docker Engine in this image' \
        'use an image with Docker inside, or another --engine-source' ;;
    none) fail "$EX_INSTALL" 'no Docker Engine has appeared on this host' \
        '--engine-source none expects it from the image or your user data' ;;
    unsupported) unsupported ;;
    esac
}

install_engine() {
    read_os_release
    method=$(choose_method)
    check_method
    case $method in
    apt) apt_install ;;
    dnf) dnf_install ;;
    zypper) zypper_install ;;
    script) run_script https://get.docker.com '' ;;
    script-as-*) run_script https://get.docker.com "${method#script-as-}" ;;
    url) run_script "$source" '' ;;
    esac
    engine_present || fail "$EX_INSTALL" \
        'the installation ended without an error but left no docker.service'
}

unsupported() {
    fail "$EX_UNSUPPORTED" \
        "'${os_id:-unknown}' ${os_version} has no engine from source '$source'" \
        'use an image with Docker inside, or --engine-source with the URL of an install script'
}

dnf_install() {
    step 'installing moby-engine'
    begin_to_change
    dnf -y -q --setopt=install_weak_deps=False install \
        "moby-engine${version:+-$version*}" ||
        fail "$EX_INSTALL" "dnf: $(last_line)"
    # A package of its own in newer releases, in the engine's in older ones.
    brought dnf moby-engine
    command -v docker >/dev/null || dnf -y -q install docker-cli ||
        say 'no docker command was installed; the engine works without'
}

zypper_install() {
    package=docker
    if [ -n "$version" ]; then
        package=$(zypper_pin)
        [ -n "$package" ] || fail "$EX_INSTALL" \
            "there is no docker $version for this host" \
            'zypper search -s --match-exact docker lists what there is'
    fi
    step "installing $package"
    begin_to_change
    zypper --non-interactive install --no-recommends "$package" ||
        fail "$EX_INSTALL" "zypper: $(last_line)" \
            'on SLES the Containers module has to be active (SUSEConnect)'
    brought zypper docker
}

zypper_pin() {
    zypper --non-interactive search -s --match-exact -t package docker |
        cut -d '|' -f 4 | tr -d ' ' | while read -r candidate; do
        if matches "${candidate%%_*}" "$version"; then
            say "docker=$candidate"
            break
        fi
    done
}

# run_script URL ID: an install script, with ID in os-release if there is one.
run_script() {
    url=$1
    other_id=$2
    script=$RUN_DIR/script
    step "fetching $url"
    fetch "$url" "$script" ||
        fail "$EX_INSTALL" "$url cannot be fetched: $(last_line)" "$(way_out)"
    # Whatever stands between may have answered with a page of its own.
    [ "$(head -c 2 "$script" | tr -d '\000')" = '#!' ] ||
        fail "$EX_INSTALL" "$url is not a script"
    set --
    if [ "$url" = https://get.docker.com ] && [ -n "$version" ]; then
        set -- --version "$version"
    fi
    step "running $url"
    begin_to_change
    if [ -n "$other_id" ]; then
        run_as_other "$@"
    else
        VERSION=$version sh "$script" "$@" </dev/null
    fi || fail "$EX_INSTALL" "$url ended with exit code $?: $(last_line)" \
        "$(hint_of_log)"
    require_version
}

# In a mount namespace of its own, so that nobody else sees the other ID.
run_as_other() {
    sed "s/^ID=.*/ID=\"$other_id\"/" "$ROOT/etc/os-release" \
        >"$RUN_DIR/os-release"
    chmod 644 "$RUN_DIR/os-release"
    # shellcheck disable=SC2016 # the inner shell expands it
    VERSION=$version unshare --mount sh -c \
        'mount --bind "$0" /etc/os-release && exec sh "$@"' \
        "$RUN_DIR/os-release" "$script" "$@" </dev/null
}

fetch() {
    if command -v curl >/dev/null; then
        curl -fsSL --retry 2 --connect-timeout 10 --speed-limit 1 \
            --speed-time 20 --retry-max-time 60 -o "$2" "$1"
    elif command -v wget >/dev/null; then
        wget -nv -T 20 -t 3 -O "$2" "$1"
    else # cloud-init has brought Python along
        python3 -c 'import shutil, sys, urllib.request
answer = urllib.request.urlopen(sys.argv[1], timeout=20)
shutil.copyfileobj(answer, open(sys.argv[2], "wb"))' "$1" "$2"
    fi
}

last_line() {
    clean <"$LOG" | grep -v '^ *$\|^step ' | tail -n 1 | cut -c 1-200
}

# The way out of what the log tells, if it is one of the common causes.
hint_of_log() {
    if grep -q 'No space left on device\|enough free space' "$LOG"; then
        say "$FULL"
    elif grep -q 'Could not get lock' "$LOG"; then
        say 'another one installs there, as unattended-upgrades does at boot; when it is done, try again'
    elif grep -q 'is not valid yet\|is expired' "$LOG"; then
        say 'the clock of the host may be wrong: date shows it'
    elif grep -q '^E: .*\(Release file\|not signed\|Clearsigned\)' "$LOG"; then
        say 'see /etc/apt/sources.list* on the host: that mirror does not have this distribution, or something else answers in its place'
    fi
}

FULL='df -h on the host shows which disk is full; a larger --flavor or --boot-from-volume has more room'

# On the disk until all is installed: what was cut off is there, and does not
# work.
begin_to_change() { : >"$HOME_DIR/installing"; }

# Whether the engine is here, and all of it.
engine_whole() {
    engine_present || return 1
    [ -e "$HOME_DIR/installing" ] || return 0
    # Somebody may have mended it by hand.
    command -v dpkg >/dev/null && [ -z "$(dpkg --audit 2>&1)" ] &&
        rm -f "$HOME_DIR/installing"
}

# Install if need be and leave what came of it for `serve`. Whoever comes
# second waits for the first and takes over its result.
install_once() {
    mkdir -p "$RUN_DIR"
    exec 9>"$RUN_DIR/lock"
    ! command -v flock >/dev/null || flock 9
    if [ ! -e "$RUN_DIR/result" ]; then
        : >"$LOG"
        (install_logged) &
        say "$!" >"$RUN_DIR/installer"
        wait "$!"
        say "$?" >"$RUN_DIR/result.new"
        mv "$RUN_DIR/result.new" "$RUN_DIR/result"
    fi
    exec 9>&-
    read -r code <"$RUN_DIR/result"
    return "$code"
}

# What installers create is for everybody to read, and no child may keep the
# lock: the engine itself could be one.
install_logged() {
    exec >"$LOG" 2>&1 9>&-
    umask 022
    # A name server that does not answer costs seconds, not minutes.
    RES_OPTIONS='timeout:2 attempts:2'
    export RES_OPTIONS
    proxies_to_install
    if engine_whole; then require_version; else install_engine; fi
    rm -f "$HOME_DIR/installing"
}
