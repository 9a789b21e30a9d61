
# ---- the engine's packages ------------------------------------------------

# find_package: sets manager, package (the one with the engine in it), twins
# (released with it, of its version) and packages (all that is installed of
# what makes up the engine).
find_package() {
    [ ! -e "$ROOT/etc/systemd/system/snap.docker.dockerd.service" ] ||
        fail "$EX_CONFLICT" 'Docker is a snap here, which renews itself' \
            'snap refresh docker on the host does it now'
    engine_present || fail "$EX_CONFLICT" 'there is no engine here' \
        'openstack docker machine provision installs one'
    reload_if_need_be
    program=$(engine_program)
    manager=''
    package=$(owner "$program")
    [ -n "$package" ] || package=$(owner "$(readlink -f "$program")")
    manager=$(choose_manager)
    [ -n "$package" ] && [ -n "$manager" ] || fail "$EX_UNSUPPORTED" \
        "the engine, $program, is of no package that could be upgraded" \
        'replace it in the way that it came here, and restart docker.service'
    twins=$package
    companions=''
    name_companions
    packages=''
    for each in $twins $companions; do
        [ -z "$(version_of "$each")" ] || packages="$packages $each"
    done
}

name_companions() {
    case $package in
    docker-ce)
        twins='docker-ce docker-ce-cli docker-ce-rootless-extras'
        companions='containerd.io docker-buildx-plugin docker-compose-plugin'
        ;;
    docker.io)
        twins='docker.io docker-cli'
        companions='containerd runc'
        ;;
    *) companions='docker-cli containerd runc' ;;
    esac
}

# The package that a file came with, '' if it came otherwise.
owner() {
    if command -v dpkg-query >/dev/null; then
        dpkg-query -S "$1" 2>/dev/null | sed -n 's/^\([^:, ]*\).*/\1/p' |
            head -n 1
    elif command -v rpm >/dev/null; then
        rpm -qf --qf '%{NAME}\n' "$1" 2>/dev/null | grep -v ' ' | head -n 1
    fi
}

choose_manager() {
    if command -v dpkg-query >/dev/null; then
        say apt
    elif command -v zypper >/dev/null; then
        say zypper
    elif command -v dnf >/dev/null; then
        say dnf
    fi
}

# NAME and version of all that is installed, a line each.
all_packages() {
    case $manager in
    apt) dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' |
        sed -n 's/^installed //p' ;;
    *) rpm -qa --qf '%{NAME} %{EVR}\n' ;;
    esac
}

version_of() {
    all_packages | awk -v name="$1" '$1 == name { print $2; exit }'
}

# pick VERSION: of the versions on stdin, newest first, that very one, else
# the first that begins with it.
pick() {
    picked=''
    while read -r candidate; do
        case $candidate in "$1") picked=$candidate && break ;; esac
        [ -z "$picked" ] || continue
        case ${candidate#*:} in
        "$1" | "$1"[.+~_-]*) picked=$candidate ;;
        esac
    done
    say "$picked"
}

# versions NAME: those that there are, newest first.
versions() {
    case $manager in
    apt) apt_versions "$1" | uniq ;;
    dnf) dnf -q repoquery --available --qf '%{evr}\n' "$1" | grep . |
        sort -rVu ;;
    zypper) zypper --non-interactive search -s --match-exact -t package "$1" |
        awk -F '|' 'NF > 4 { gsub(/ /, "", $4); print $4 }' |
        grep '^[0-9]' | sort -rVu ;;
    esac
}

newer() {
    case $manager in
    apt) dpkg --compare-versions "$1" gt "$2" ;;
    *) [ "$1" != "$2" ] &&
        [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | tail -n 1)" = "$1" ] ;;
    esac
}

# newest NAME: what the package manager would choose, not older than what is
# installed; apt's preferences count.
newest() {
    have=$(version_of "$1")
    case $manager in
    apt) found=$(apt-cache policy "$1" | sed -n 's/^  Candidate: //p') ;;
    *) found=$(versions "$1" | head -n 1) ;;
    esac
    case $found in
    '' | '(none)') say "$have" ;;
    *) if newer "$found" "$have"; then say "$found"; else say "$have"; fi ;;
    esac
}

refresh_lists() {
    step 'fetching the lists of packages'
    case $manager in
    apt)
        # A reboot may have come in between.
        [ -z "$(ls -A "$ROOT/var/lib/dpkg/updates" 2>/dev/null)" ] ||
            dpkg --configure -a
        apt_update
        ;;
    dnf) dnf -q makecache || fail "$EX_INSTALL" "dnf: $(last_line)" ;;
    zypper) zypper --non-interactive refresh ||
        fail "$EX_INSTALL" "zypper: $(last_line)" ;;
    esac
}

check_holds() {
    [ "$manager" = apt ] || return 0
    for each in $wanted; do
        ! apt-mark showhold | grep -qx "${each%%=*}" || fail "$EX_CONFLICT" \
            "the package ${each%%=*} is on hold" \
            "apt-mark unhold ${each%%=*} on the host lets it go"
    done
}

# change NAME=VERSION...: install these versions, older ones only where a
# version was asked for. Nobody but us restarts the engine: for systemctl this
# is a chroot (SYSTEMD_OFFLINE, systemd's ENVIRONMENT.md).
change() {
    (
        SYSTEMD_OFFLINE=1
        export SYSTEMD_OFFLINE
        "${manager}_change" "$@"
    ) 8>&-
}

apt_change() {
    automatic=$(apt-mark showauto 2>/dev/null)
    apt install -y --no-remove --allow-downgrades "$@" || return
    # Naming a package makes it one that autoremove keeps for good.
    for each in "$@"; do
        ! say "$automatic" | grep -qx "${each%%=*}" ||
            apt-mark auto "${each%%=*}" >/dev/null
    done
}

dnf_change() {
    verb=upgrade
    for each in "$@"; do
        ! newer "$(version_of "${each%%=*}")" "${each#*=}" || verb=downgrade
    done
    for each in "$@"; do
        shift
        set -- "$@" "${each%%=*}-${each#*=}"
    done
    dnf -y -q --setopt=install_weak_deps=False "$verb" "$@"
}

zypper_change() {
    zypper --non-interactive install --no-recommends --oldpackage "$@"
}

change_cause() {
    case $manager in
    apt) apt_cause ;;
    *) say "$manager: $(last_line)" ;;
    esac
}
