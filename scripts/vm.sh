#!/bin/sh
# Boots a Debian guest (systemd, cgroup v2) in QEMU and runs scripts/smoke.sh there as an ordinary user
# with a login session:
#   scripts/vm.sh BINARY
# RELEASE chooses Debian's release (bookworm, with kernel 6.1, or trixie, with 6.12), ARCH the machine
# (amd64 or arm64; the binary must be for it). The guest is made from Debian packages alone (mmdebstrap,
# mke2fs) and kept in target/vm under a hash of its description. Needs no KVM. As root or as a user with
# a subuid range.
set -eu
cd "$(dirname "$0")/.."
binary=$1
release=${RELEASE:-bookworm}
arch=${ARCH:-amd64}
[ -x "$binary" ] || { echo "vm: no binary $binary" >&2; exit 1; }
say() { printf '==> %s\n' "$*"; }

packages=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,linux-image-cloud-$arch,uidmap,slirp4netns
packages=$packages,docker-registry,busybox-static,curl,iproute2,procps,python3-minimal
# An emulator for another machine's programs, and one of those.
architectures=$arch foreign=
if [ "$arch" = amd64 ]; then
    packages=$packages,qemu-user-static,binfmt-support
    architectures=amd64,arm64 foreign=busybox-static:arm64
fi
limit=${VM_LIMIT:-900}
cache=target/vm
# Newer kernels crash under QEMU 7.2's emulation of x86, with two processors when code is patched, with
# cmpxchg16b in the allocator.
processors=2 cpu=max
case $arch-$release in
amd64-bookworm) ;;
amd64-*) processors=1 cpu=max,-cx16 ;;
arm64-*) ;;
*) echo "vm: no guest for $arch" >&2; exit 1 ;;
esac
accel=accel=${VM_ACCEL:-tcg}
case $arch in
amd64)
    program=qemu-system-x86_64 machine=q35,$accel console=ttyS0 output=ttyS1
    ports="-serial file:$cache/console.log -serial file:$cache/output.log"
    ;;
arm64)
    program=qemu-system-aarch64 machine=virt,$accel console=ttyAMA0 output=hvc0
    ports="-serial file:$cache/console.log -device virtio-serial-pci
        -chardev file,id=output,path=$cache/output.log -device virtconsole,chardev=output"
    ;;
esac

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
key=$(cat "$0" | sha256sum | cut -c1-16)
base=$cache/$release-$arch-$key
temp=
qemu=
finish() {
    [ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true
    [ -z "$temp" ] || rm -rf "$temp" 2>/dev/null || unshare --user --map-auto --map-root-user rm -rf "$temp"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# Runs a script as (at least) root of a user namespace.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        sh -euc "$@"
    else
        unshare --user --map-auto --map-root-user sh -euc "$@"
    fi
}

if [ ! -e "$base/done" ]; then
    say "make the guest: $release for $arch with $packages"
    rm -rf "$cache/$release-$arch"-*
    mkdir "$base"
    temp=$(mktemp -d)
    chmod 0755 "$temp"
    # The first service unpacks the second disk; the second one is the user's session.
    cat >"$temp/prepare.service" <<END
[Service]
Type=oneshot
ExecStart=/bin/mkdir -p /opt/coracle
ExecStart=/bin/tar -xf /dev/vdb -C /opt/coracle
END
    cat >"$temp/smoke.service" <<END
[Unit]
Requires=prepare.service
After=prepare.service systemd-logind.service dbus.service
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
User=tester
PAMName=login
WorkingDirectory=/home/tester
ExecStart=/bin/sh /opt/coracle/smoke.sh /opt/coracle/coracle
StandardOutput=file:/dev/$output
StandardError=inherit
[Install]
WantedBy=multi-user.target
END
    # What a start of the machine does for the user's containers, without the minute that one takes here.
    cat >"$temp/again.path" <<END
[Path]
PathExists=/home/tester/again
[Install]
WantedBy=multi-user.target
END
    cat >"$temp/again.service" <<END
[Service]
Type=oneshot
ExecStart=/bin/rm /home/tester/again
ExecStart=/bin/loginctl enable-linger tester
ExecStart=/bin/systemctl restart user@1000.service
END
    mmdebstrap --quiet --variant=essential --architectures="$architectures" --include="$packages" --aptopt='Acquire::Retries "3"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/bin/qemu-*' --dpkgopt='path-include=/usr/bin/qemu-aarch64*' \
        --customize-hook='chroot "$1" useradd --create-home --shell /bin/sh --groups systemd-journal tester' \
        --customize-hook='chroot "$1" passwd -d root' \
        --customize-hook="upload $temp/prepare.service /etc/systemd/system/prepare.service" \
        --customize-hook="upload $temp/smoke.service /etc/systemd/system/smoke.service" \
        --customize-hook="upload $temp/again.path /etc/systemd/system/again.path" \
        --customize-hook="upload $temp/again.service /etc/systemd/system/again.service" \
        --customize-hook='chroot "$1" systemctl enable smoke.service again.path' \
        --customize-hook='chroot "$1" systemctl mask docker-registry.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer systemd-timesyncd.service' \
        ${foreign:+--customize-hook="cd \"\$1/tmp\" && APT_CONFIG=\"\$MMDEBSTRAP_APT_CONFIG\" apt-get download $foreign \
            && dpkg-deb -x ./*.deb \"\$1/opt/foreign\" && rm ./*.deb"} \
        --customize-hook='echo "/dev/vda / ext4 defaults 0 0" >"$1/etc/fstab"; echo guest >"$1/etc/hostname"' \
        "$release" "$temp/tree.tar" </dev/null
    say "write the disk"
    as_root 'mkdir "$1/tree"
        tar -C "$1/tree" --exclude="./dev/*" -xf "$1/tree.tar"
        cp "$1"/tree/boot/vmlinuz-* "$2/kernel"
        cp "$1"/tree/boot/initrd.img-* "$2/initrd"
        rm -rf "$1"/tree/var/cache/apt "$1"/tree/var/lib/apt/lists
        mke2fs -q -t ext4 -d "$1/tree" "$2/disk" 2G' as-root "$temp" "$base"
    touch "$base/done"
    finish
    temp=
fi

temp=$(mktemp -d)
mkdir "$temp/payload"
cp "$binary" "$temp/payload/coracle"
cp scripts/smoke.sh "$temp/payload/smoke.sh"
chmod 0755 "$temp/payload"/*
cp contrib/systemd/user/* "$temp/payload/"
tar -C "$temp/payload" -cf "$temp/payload.tar" .
rm -f "$cache/output.log" "$cache/console.log"
say "boot (at most $limit s)"
# The kernel's console goes to a file, the smoke list's output comes here.
# shellcheck disable=SC2086 # a list of options
timeout "$limit" "$program" -machine "$machine" -cpu "$cpu" -smp "$processors" -m 1536 \
    -display none -nodefaults -no-reboot -monitor none \
    -kernel "$base/kernel" -initrd "$base/initrd" \
    -append "root=/dev/vda rw console=$console quiet panic=-1 systemd.show_status=false" \
    -drive "file=$base/disk,format=raw,if=virtio,snapshot=on" \
    -drive "file=$temp/payload.tar,format=raw,if=virtio,readonly=on" \
    $ports </dev/null &
qemu=$!
touch "$cache/output.log"
tail -n +1 -F --pid="$qemu" "$cache/output.log" 2>/dev/null || true
status=0
wait "$qemu" || status=$?
qemu=
if [ "$status" -ne 0 ] || ! grep -q '^[0-9]* passed, 0 failed' "$cache/output.log"; then
    say "the guest failed (qemu: $status); the end of its console:"
    tail -n 30 "$cache/console.log"
    exit 1
fi
