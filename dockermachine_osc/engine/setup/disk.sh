# ---- a disk of the engine's own -------------------------------------------

DATA_DIR=/var/lib/docker
# Where an engine keeps images that uses a containerd beside it.
CONTAINERD_DIR=/var/lib/containerd

# Once in a machine's life, before its engine starts for the first time.
mount_data_disk() {
    # A hand-over that knows nothing of the disk leaves it to the host.
    [ "$data_disk" -gt 0 ] ||
        data_disk=$(sed -n 's/^data_disk=//p' "$HOME_DIR/settings" 2>/dev/null)
    [ "${data_disk:-0}" -gt 0 ] || return 0
    ! grep -q " $DATA_DIR " "$ROOT/etc/fstab" 2>/dev/null || return 0
    step "preparing the disk of $data_disk GiB for the engine"
    disk=$(empty_disk) || fail "$EX_INSTALL" \
        "there is not just one empty disk of $data_disk GiB" \
        'lsblk on the host shows its disks'
    {
        systemctl stop docker.socket docker.service containerd.service
        mkfs.ext4 -q -L docker-data "$disk" && fill_disk && add_to_fstab
    } >"$RUN_DIR/disk" 2>&1 || {
        tail_of <"$RUN_DIR/disk"
        fail "$EX_INSTALL" "the disk $disk cannot be used for the engine"
    }
}

# Empty has no partition and no signature of anything; what has is never
# touched. Ephemeral disks and config drives come formatted.
empty_disk() {
    found=''
    for disk in $(lsblk -dnbrpo NAME,TYPE,RO,SIZE |
        awk -v size="$data_disk" '$2 == "disk" && $3 == 0 &&
            $4 == size * 1024 * 1024 * 1024 { print $1 }'); do
        [ "$(lsblk -nrpo NAME "$disk" | grep -c .)" = 1 ] || continue
        blkid -p "$disk" >/dev/null 2>&1
        # blkid(8): 2 is nothing found, 8 an ambivalent result.
        [ $? = 2 ] || continue
        [ -z "$found" ] || return 1
        found=$disk
    done
    [ -n "$found" ] && say "$found"
}

# Images that the server's own image brought along are kept.
fill_disk() {
    mkdir -p "$RUN_DIR/data" "$ROOT$DATA_DIR" "$ROOT$CONTAINERD_DIR" &&
        mount "$disk" "$RUN_DIR/data" || return
    mkdir -p -m 710 "$RUN_DIR/data/docker" &&
        mkdir -p -m 711 "$RUN_DIR/data/containerd" &&
        cp -a "$ROOT$DATA_DIR/." "$RUN_DIR/data/docker" &&
        cp -a "$ROOT$CONTAINERD_DIR/." "$RUN_DIR/data/containerd"
    filled=$?
    umount "$RUN_DIR/data" && rmdir "$RUN_DIR/data" && return "$filled"
}

# An engine must not start on the root disk because its own is missing.
add_to_fstab() {
    mounted=/var/lib/docker-data
    uuid=$(blkid -o value -s UUID "$disk") && [ -n "$uuid" ] &&
        mkdir -p "$ROOT$mounted" || return
    wanted=x-systemd.required-by=docker.service,x-systemd.before=docker.service
    cat >>"$ROOT/etc/fstab" <<END
UUID=$uuid $mounted ext4 defaults,nofail,$wanted 0 2
$mounted/docker $DATA_DIR none bind,nofail,$wanted 0 0
$mounted/containerd $CONTAINERD_DIR none bind,nofail,$wanted,x-systemd.before=containerd.service 0 0
END
    systemctl daemon-reload
    mount "$mounted" && mount "$DATA_DIR" && mount "$CONTAINERD_DIR"
}

