#!/bin/sh
# Installs what coracle needs on Debian or Ubuntu, as root or as a user with sudo:
#   scripts/setup.sh          to build and run
#   scripts/setup.sh --test   also what the tests and the guest (make vm) need
#   scripts/setup.sh --bench  also the programs that make bench compares with
# Reports what it does, asks nothing, and can be run repeatedly.
set -eu

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

packages="gcc libc6-dev make pkg-config libseccomp-dev git curl ca-certificates uidmap slirp4netns"
for option in "$@"; do
    case $option in
    --test) packages="$packages docker-registry skopeo umoci podman busybox-static mmdebstrap qemu-system-x86 e2fsprogs
        autopkgtest passt python3-pip g++ openssh-client openssh-server
        perl zstd xz-utils bzip2 util-linux iproute2 procps strace jq man-db zsh fish bash-completion" ;;
    --bench) packages="$packages docker-registry skopeo busybox-static mmdebstrap
        podman runc fuse-overlayfs iperf3 util-linux" ;;
    *) die "unknown option $option" ;;
    esac
done

here=$(cd "$(dirname "$0")/.." && pwd)
[ "$(uname -s)" = Linux ] || die "coracle runs on Linux only"

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root: $*"
    fi
}

# --- packages
missing=
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null ||
        die "no apt-get here; install by hand what these Debian packages hold:$missing"
    say "packages:$missing"
    as_root apt-get -q update
    # shellcheck disable=SC2086 # a list
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing
    case " $missing " in
    *" openssh-server "*)
        # The tests start one of their own; nobody has asked for one that listens to the network.
        if [ -d /run/systemd/system ]; then as_root systemctl -q disable --now ssh.service ssh.socket 2>/dev/null || true; fi
        ;;
    esac
fi

# --- a Rust toolchain
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$here/Cargo.toml")
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
recent_enough() {
    have=$(cargo --version 2>/dev/null | sed -n 's/^cargo \([0-9.]*\).*/\1/p')
    [ -n "$have" ] && [ "$(printf '%s\n' "$wanted" "$have" | sort -V | head -n 1)" = "$wanted" ]
}
if ! recent_enough; then
    say "Rust $wanted or newer"
    if command -v rustup >/dev/null; then
        rustup toolchain install stable --profile minimal --component clippy,rustfmt
        rustup default stable
    elif [ -n "$(apt-cache policy rustup 2>/dev/null | sed -n 's/ *Candidate: \([0-9].*\)/\1/p')" ]; then
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends rustup
        rustup toolchain install stable --profile minimal --component clippy,rustfmt
        rustup default stable
    else
        # The official installer, with the checksum it is published with.
        from=https://static.rust-lang.org/rustup/dist/$(uname -m)-unknown-linux-gnu
        temp=$(mktemp -d)
        for file in rustup-init rustup-init.sha256; do
            curl --proto '=https' --tlsv1.2 -sSf --retry 3 -o "$temp/$file" "$from/$file"
        done
        echo "$(cut -c1-64 "$temp/rustup-init.sha256")  $temp/rustup-init" | sha256sum -c --quiet - ||
            die "rustup-init does not match its checksum"
        chmod +x "$temp/rustup-init"
        "$temp/rustup-init" -y --no-modify-path --profile minimal --component clippy --component rustfmt
        rm -rf "$temp"
    fi
    recent_enough || die "cargo is still older than $wanted: $(command -v cargo || echo none)"
fi

# --- the account: a range of subordinate ids, which rootless containers need
account=$(id -un)
if [ "$(id -u)" -ne 0 ]; then
    for file in subuid subgid; do
        if ! grep -qs -e "^$account:" -e "^$(id -u):" "/etc/$file"; then
            first=$(cat /etc/subuid /etc/subgid 2>/dev/null |
                awk -F: 'BEGIN { n = 100000 } $2 + $3 > n { n = $2 + $3 } END { print n }')
            range=$first-$((first + 65535))
            say "subordinate ids $range for $account in /etc/$file"
            as_root usermod "--add-${file}s" "$range" "$account"
        fi
    done
fi
say "ready"
