#!/bin/sh
# Builds the Containerfiles of tests/corpus with coracle and with buildah, and compares what comes out: whether it is
# refused, the files (type, mode, owner, target, content) and the configuration, in docker's form, which has everything.
#   scripts/compare-buildah.sh BINARY [CASE...]
# As an ordinary user with subordinate ids. Needs buildah, busybox (static), jq, tar. Prints a line for each case; exits
# 1 if one differs in a way that tests/corpus/buildah-differences does not explain.
set -u
binary=$1
shift
export LC_ALL=C.UTF-8
tree=$(cd "$(dirname "$0")/.." && pwd)
known=$tree/tests/corpus/buildah-differences
work=$(mktemp -d)
ours() { "$binary" --root "$work/ours" --runroot "$work/run-ours" "$@"; }
theirs() { buildah --root "$work/theirs" --runroot "$work/run-theirs" --storage-driver overlay "$@"; }
trap 'ours unshare rm -rf "$work"; rm -rf "$work"' EXIT

# --- the base image: the one of the tests
base=$work/base
mkdir -p "$base/bin" "$base/etc" "$base/home/tester" "$base/root" "$base/usr/bin" "$base/var/log"
for dir in dev proc run sys; do mkdir "$base/$dir"; done
mkdir -m 1777 "$base/tmp" "$base/var/tmp"
chmod 0700 "$base/root"
cp "$(command -v busybox)" "$base/bin/busybox"
for applet in $(busybox --list); do [ "$applet" = busybox ] || ln -s busybox "$base/bin/$applet"; done
printf '%s\n' root:x:0:0:root:/root:/bin/sh daemon:x:1:1:daemon:/usr/sbin:/bin/false \
    'tester:x:1000:1000:Test user:/home/tester:/bin/sh' nobody:x:65534:65534:nobody:/:/bin/false >"$base/etc/passwd"
printf '%s\n' root:x:0: daemon:x:1: wheel:x:10:tester audio:x:29: tester:x:1000: nogroup:x:65534: >"$base/etc/group"
tar -C "$base" --owner=0 --group=0 --numeric-owner -cf "$work/base.tar" .
ours import -q -c 'CMD ["sh"]' -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    "$work/base.tar" docker.io/library/busybox:latest >/dev/null || exit 2
ours save -q --format=docker-archive -o "$work/busybox.tar" docker.io/library/busybox:latest || exit 2
policy=$work/policy.json
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$policy"
theirs pull -q --signature-policy "$policy" "docker-archive:$work/busybox.tar" >/dev/null || exit 2

places=' \(etc/hostname\|etc/hosts\|etc/resolv.conf\|\.\)$'
# Packs the files of a container: -o of this version of buildah lacks the last layer where there was a cached one.
pack='root="--root $1/theirs --runroot $1/run-theirs --storage-driver overlay"
    tar -C "$(buildah $root mount "$2")" --numeric-owner -cf "$1/theirs.tar" .'

# What is in an archive of files, a line for each; no times, and not the places that buildah mounts on and leaves there.
files() {
    tar --numeric-owner -tvf "$1" | sed -E 's/ +/ /g; s/^([^ ]+ [^ ]+) [0-9]+ [^ ]+ [^ ]+ /\1 /; s#/$##; s# \./# #; s# link to \./# link to #' | grep -v "$places" | sort
    tar -xf "$1" --to-command='printf "%s %s\n" "$(sha256sum | cut -c1-16)" "$TAR_FILENAME"' | sed 's# \./# #' | grep -v "$places" | sort
} 2>&1

# The configuration without what names the tool.
configuration() {
    jq -S 'def none: . == null or . == {} or . == [] or . == "" or . == false;
        del(.Labels."io.buildah.version", .Hostname, .Domainname, .Image, .ArgsEscaped)
        | with_entries(select(.value | none | not)) | if .Env then .Env |= sort else . end'
}

# build WHO CASE: leaves WHO.log, WHO.files and WHO.config
build() {
    who=$1 case=$2
    image=compared-$case
    set --
    while IFS= read -r option; do [ -z "$option" ] || set -- "$@" "$option"; done <<EOF
$(cat "$tree/tests/corpus/$case/options" 2>/dev/null | grep -v '^--format')
EOF
    rm -f "$work/$who.tar" "$work/$who.files" "$work/$who.config"
    cd "$tree/tests/corpus/$case" || exit 2
    if [ "$who" = ours ]; then
        ours build --format=docker --network=none "$@" -t "$image" . || return 1
        ours build --format=docker --network=none "$@" -q -o "type=tar,dest=$work/$who.tar" . || return 1
        ours image inspect --format '{{json .Config}}' "$image" | configuration >"$work/$who.config"
    else
        theirs build --signature-policy "$policy" --format=docker --network=none --layers "$@" -t "$image" . || return 1
        container=$(theirs from --pull-never --signature-policy "$policy" "$image") || return 1
        theirs unshare sh -c "$pack" sh "$work" "$container" || return 1
        theirs inspect --type image "$image" | jq .Docker.config | configuration >"$work/$who.config"
    fi
    files "$work/$who.tar" >"$work/$who.files"
}

# --- the cases
[ $# -gt 0 ] || set -- $(cd "$tree/tests/corpus" && find . -mindepth 1 -maxdepth 1 -type d | sed 's#^\./##' | sort)
same=0 explained=0 wrong=0
for case; do
    build ours "$case" >"$work/ours.log" 2>&1 </dev/null
    first=$?
    build theirs "$case" >"$work/theirs.log" 2>&1 </dev/null
    second=$?
    cd "$tree" || exit 2
    : >"$work/difference"
    case $first$second in
    00)
        for part in files config; do
            diff "$work/ours.$part" "$work/theirs.$part" >>"$work/difference"
        done
        ;;
    01) { echo "only buildah refuses it:" && tail -n 6 "$work/theirs.log"; } >"$work/difference" ;;
    10) { echo "only coracle refuses it:" && tail -n 5 "$work/ours.log"; } >"$work/difference" ;;
    esac
    why=$(sed -n "s/^$case: //p" "$known")
    if [ ! -s "$work/difference" ]; then
        same=$((same + 1))
        echo "same       $case${why:+ (the explanation \"$why\" is not needed)}"
    elif [ -n "$why" ]; then
        explained=$((explained + 1))
        echo "explained  $case: $why"
    else
        wrong=$((wrong + 1))
        echo "DIFFERENT  $case"
        sed 's/^/    /' "$work/difference"
    fi
done
echo "$same the same, $explained explained, $wrong not explained"
[ "$wrong" -eq 0 ]
