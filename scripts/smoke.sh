#!/bin/sh
# Smoke tests of the whole program as an ordinary user, with its own registry on loopback:
#   scripts/smoke.sh BINARY
# Needs docker-registry, busybox (static), curl. Prints `N passed, N failed`; exits 1 if any failed.
# It runs in the guest of scripts/vm.sh, where every program takes ten times as long; keep it short.
set -u
binary=$1
export LC_ALL=C.UTF-8
work=$(mktemp -d)
port=${SMOKE_PORT:-5123}
web=$((port + 1))
passed=0
failed=0
registry_pid=

coracle() { "$binary" --root "$work/root" --runroot "$work/run" "$@"; }

finish() {
    coracle rm -f -a -t 0 >/dev/null 2>&1
    [ -z "$registry_pid" ] || kill "$registry_pid" 2>/dev/null
    rm -rf "$work" 2>/dev/null || coracle unshare rm -rf "$work"
    [ ! -e "$work" ] || echo "left behind: $work"
}
trap finish EXIT

# check NAME WANTED-CODE WANTED-TEXT COMMAND...: the text must be a part of the output.
check() {
    name=$1 code=$2 text=$3
    shift 3
    output=$(timeout "${SMOKE_LIMIT:-120}" "$@" 2>&1 </dev/null)
    got=$?
    case $output in
    *"$text"*) [ "$got" -eq "$code" ] && {
        passed=$((passed + 1))
        echo "ok      $name"
        return 0
    } ;;
    esac
    failed=$((failed + 1))
    echo "FAILED  $name: exit code $got (wanted $code), wanted text '$text'"
    printf '%s\n' "$output" | sed 's/^/        | /'
    return 1
}

# `timeout` runs programs, not functions: the same call as a script.
cat >"$work/coracle" <<END
#!/bin/sh
exec "$binary" --root "$work/root" --runroot "$work/run" "\$@"
END
chmod +x "$work/coracle"
c=$work/coracle

# --- an image: busybox in one layer
tree=$work/tree
mkdir -p "$tree/bin" "$tree/etc" "$tree/tmp" "$tree/proc" "$tree/sys" "$tree/dev" "$tree/www"
cp "$(command -v busybox)" "$tree/bin/busybox"
for applet in sh echo cat true sleep id httpd ls touch hostname ip mount ping arping nslookup nc; do
    ln -s busybox "$tree/bin/$applet"
done
echo root:x:0:0:root:/:/bin/sh >"$tree/etc/passwd"
echo served >"$tree/www/index.html"
tar -C "$tree" --owner=0 --group=0 --numeric-owner -cf "$work/layer.tar" .
gzip -1 -n -c "$work/layer.tar" >"$work/layer.tar.gz"
sum() { sha256sum "$1" | cut -d' ' -f1; }
size() { wc -c <"$1"; }
architecture=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
printf '{"architecture":"%s","os":"linux","config":{"Cmd":["/bin/sh"],"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "$architecture" "$(sum "$work/layer.tar")" >"$work/config.json"
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%d},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:%s","size":%d}]}' \
    "$(sum "$work/config.json")" "$(size "$work/config.json")" \
    "$(sum "$work/layer.tar.gz")" "$(size "$work/layer.tar.gz")" >"$work/manifest.json"

# --- a registry, and the image in it
cat >"$work/registry.yml" <<END
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: "$work/registry"}}
http: {addr: "127.0.0.1:$port"}
END
docker-registry serve "$work/registry.yml" >/dev/null 2>&1 &
registry_pid=$!
url=http://127.0.0.1:$port/v2
for _ in $(seq 300); do
    curl -sf "$url/" >/dev/null && break
    sleep 0.2
done
upload() {
    where=$(curl -sf -i -X POST "$url/busybox/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
    curl -sf -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$1" \
        "$where&digest=sha256:$(sum "$1")"
}
upload "$work/layer.tar.gz" && upload "$work/config.json" &&
    curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
        --data-binary "@$work/manifest.json" "$url/busybox/manifests/latest" ||
    echo "the image could not be put into the registry"
image=127.0.0.1:$port/busybox

# --- the tour
echo "kernel $(uname -r), $(id -un), $("$binary" --version)"
check "pull" 0 "" "$c" pull -q "$image"
check "images" 0 "busybox" "$c" images
check "run without network" 0 "uid=0" "$c" run --rm --network=none "$image" id
check "run with network" 0 "tap0" "$c" run --rm "$image" ip -o link
check "the payload's exit code" 3 "" "$c" run --rm --network=none "$image" sh -c 'exit 3'
check "a missing command is 127" 127 "" "$c" run --rm --network=none "$image" /missing
check "a missing image is 125" 125 "" "$c" run --rm --pull=never missing/image
mkdir "$work/shared"
check "a bind mount" 0 "" "$c" run --rm --network=none -v "$work/shared:/mnt" "$image" touch /mnt/file
check "belongs to the user" 0 "$(id -u)" stat -c %u "$work/shared/file"
check "the host's own tree" 0 "hello" "$c" run --rm --network=none --rootfs /:O sh -c 'echo hello'
check "run -d" 0 "" "$c" run -d --name web -p "127.0.0.1:$web:80" "$image" sh -c \
    'echo started; exec httpd -f -p 80 -h /www'
check "a published port" 0 "served" curl -sS --retry 20 --retry-connrefused --retry-delay 1 \
    "http://127.0.0.1:$web/index.html"
check "ps" 0 "web" "$c" ps
check "logs" 0 "started" "$c" logs web
check "exec" 0 "in web" "$c" exec web sh -c 'echo in web'
check "stop" 0 "web" "$c" stop -t 1 web
check "ps -a after stop" 0 "Exited" "$c" ps -a
check "rm" 0 "web" "$c" rm web
# --- a port of SCTP, where the kernel has it: messages keep their bounds, streams and kinds
cat >"$work/sctp.py" <<'END'
import socket, struct, sys
def sctp():
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)
def send(to, data, stream, flags, kind):
    to.sendmsg([data], [(132, 2, struct.pack("=HHIIi", stream, flags, socket.htonl(kind), 0, 0))])
def receive(at):
    whole = b""
    while True:
        data, control, flags, _ = at.recvmsg(1 << 16, 64)
        whole += data
        if flags & socket.MSG_EOR or not data:
            break
    stream, _, flags, kind = struct.unpack_from("=HHHxxI", control[0][2]) if whole else (0, 0, 0, 0)
    return whole, stream, flags, socket.ntohl(kind)
def serve():
    door = sctp()
    door.setsockopt(132, 2, struct.pack("=HHHH", 100, 100, 0, 0))
    door.bind(("0.0.0.0", 80))
    door.listen()
    print("ready", flush=True)
    while True:
        client = door.accept()[0]
        client.setsockopt(132, 32, 1)
        while True:
            message = receive(client)
            if message[0] in (b"", b"bye"):
                break
            send(client, *message)
        print("ended by", "itself" if message[0] else "its client", flush=True)
        client.close()
def ask(port):
    server = sctp()
    server.setsockopt(132, 2, struct.pack("=HHHH", 80, 100, 0, 0))
    server.setsockopt(132, 32, 1)
    server.settimeout(20)
    server.connect(("127.0.0.1", port))
    sent = [(b"one", 0, 0, 1), (b"two", 0, 0, 46), (b"x" * 150000, 79, 0, 2), (b"last", 7, 1, 0xfedcba98)]
    for message in sent:
        send(server, *message)
        got = receive(server)
        assert got == message, (got[0][:20], len(got[0]), got[1:])
    for text in b"these", b"are", b"three":
        send(server, text, 3, 0, 0)
    assert [receive(server)[0] for _ in range(3)] == [b"these", b"are", b"three"]
    return server
if sys.argv[1] == "serve":
    serve()
ask(int(sys.argv[1])).close()
server = ask(int(sys.argv[1]))
send(server, b"bye", 0, 0, 0)
assert receive(server)[0] == b""
print("all as sent")
END
if python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)' 2>/dev/null; then
    check "run with a port of SCTP" 0 "" "$c" run -d --name sctp -p "$web:80/sctp" --rootfs /:O python3 -c "$(cat "$work/sctp.py")" serve
    check "it is listed" 0 "80/sctp -> 0.0.0.0:$web" "$c" port sctp
    check "its service listens" 0 "ready" sh -c "until $c logs sctp | grep ready; do sleep 0.5; done"
    check "messages arrive as they were sent" 0 "all as sent" python3 "$work/sctp.py" "$web"
    check "and both sides see the end" 0 "ended by its client
ended by itself" "$c" logs sctp
    check "rm -f of it" 0 "sctp" "$c" rm -f -t 0 sctp
else
    check "without SCTP a port of it is refused" 125 "this kernel has no SCTP" "$c" run --rm -p 80/sctp "$image" true
fi
# --- the journal, where it runs
if [ -S /run/systemd/journal/socket ]; then
    check "run with the journal" 0 "to the journal" "$c" run --name journal --network=none \
        --log-driver journald "$image" echo to the journal
    check "logs from it" 0 "to the journal" "$c" logs journal
    check "and its end" 0 "journal" "$c" rm journal
fi
# --- a service manager that waits for a container, and one that starts what a restart left
check "sdnotify" 0 "active" sh -c "systemd-run --user --quiet --unit=told -p Type=notify -p NotifyAccess=all \
    $binary --root $work/root --runroot $work/run run --name told --network=none --sdnotify=conmon $image sleep 1000 \
    && systemctl --user is-active told; $c rm -f -t 0 told >/dev/null"
check "start what should run" 0 "back" sh -c "$c create --name back --restart=always --network=none $image sleep 1000 \
    >/dev/null && $c start --all --filter restart-policy=always && $c rm -f -t 0 back"
# --- what ends at logout, and what the user unit brings back when the user's manager starts anew
scope="systemd-run --user --scope --quiet"
if [ -e /etc/systemd/system/again.path ]; then
    check "run -d says what ends at logout" 0 "loginctl enable-linger" $scope \
        "$c" run -d --name boots --restart=always --network=none "$image" sleep 1000
    units=$HOME/.config/systemd/user
    mkdir -p "$units"
    sed "s|^ExecStart=coracle|ExecStart=$c|" /opt/coracle/coracle-restart.service >"$units/coracle-restart.service"
    systemctl --user daemon-reload
    check "enable the user unit" 0 "" systemctl --user enable coracle-restart.service
    # Asks the guest to let the user linger and to start the user's manager anew.
    touch "$HOME/again"
    cat >"$work/unit-of" <<'END'
for _ in $(seq 60); do
    pid=$("$1" inspect -f '{{.State.Pid}}' boots)
    grep -s coracle-restart.service "/proc/$pid/cgroup" && exit 0
    sleep 1
done
systemctl --user --no-pager status coracle-restart.service
exit 1
END
    check "a container comes back with the user's manager" 0 "coracle-restart.service" sh "$work/unit-of" "$c"
    rm "$work/run/logout-told"
    check "nothing is said to who lingers" 1 "" sh -c \
        "$scope $c run -d --name stays --network=none $image sleep 1000 2>&1 | grep linger"
    check "rm -f of both" 0 "" "$c" rm -f -t 0 boots stays
    systemctl --user disable --quiet coracle-restart.service
fi
# --- a unit that creates its container, and the timer that brings newer images to it
if [ -e /opt/coracle/coracle-auto-update.timer ]; then
    # publish WORDS: the image of the unit, with this JSON list as its command.
    publish() {
        sed "s|\[\"/bin/sh\"\]|$1|" "$work/config.json" >"$work/config2.json"
        sed "s|\(config.v1+json\",\"digest\":\"sha256:\)[0-9a-f]*\",\"size\":[0-9]*|\1$(sum "$work/config2.json")\",\"size\":$(size "$work/config2.json")|" \
            "$work/manifest.json" >"$work/manifest2.json"
        upload "$work/config2.json" && curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
            --data-binary "@$work/manifest2.json" "$url/busybox/manifests/unit"
    }
    units=$HOME/.config/systemd/user
    mkdir -p "$units/coracle-auto-update.timer.d"
    cat >"$units/updated.service" <<END
[Service]
Type=notify
NotifyAccess=all
Environment=PODMAN_SYSTEMD_UNIT=%n
ExecStart=$c run -d --rm --replace --name updated --sdnotify=conmon --network=none --label io.containers.autoupdate=registry $image:unit
ExecStop=$c rm -f -t 0 updated
END
    sed "s|^\(Exec[A-Za-z]*\)=coracle|\1=$c|" /opt/coracle/coracle-auto-update.service >"$units/coracle-auto-update.service"
    cp /opt/coracle/coracle-auto-update.timer "$units/"
    printf '[Timer]\nOnCalendar=\nOnActiveSec=1s\nAccuracySec=1s\nRandomizedDelaySec=0\n' \
        >"$units/coracle-auto-update.timer.d/soon.conf"
    systemctl --user daemon-reload
    cat >"$work/has-come" <<'END'
for _ in $(seq 60); do
    case $("$1" inspect -f '{{.Config.Cmd}}' updated 2>&1) in *"$2"*) echo "it runs $2"; exit 0 ;; esac
    sleep 1
done
systemctl --user --no-pager status coracle-auto-update.service updated.service
exit 1
END
    publish '["/bin/sleep","1001"]'
    check "a unit creates its container" 0 "" systemctl --user start updated.service
    check "nothing is newer" 0 "false" "$c" auto-update --format '{{.Unit}} {{.Updated}}'
    publish '["/bin/sleep","1002"]'
    check "a newer image is told" 0 "updated.service pending" "$c" auto-update --dry-run --format '{{.Unit}} {{.Updated}}'
    check "auto-update restarts the unit" 0 "updated.service true" "$c" auto-update --format '{{.Unit}} {{.Updated}}'
    check "with the newer image" 0 "it runs 1002" sh "$work/has-come" "$c" 1002
    publish '["/missing"]'
    check "an image that fails is taken back" 125 "updated.service rolled back" "$c" auto-update --format '{{.Unit}} {{.Updated}}'
    check "and the old one runs" 0 "it runs 1002" sh "$work/has-come" "$c" 1002
    check "as its unit" 0 "active" systemctl --user is-active updated.service
    publish '["/bin/sleep","1003"]'
    check "the timer" 0 "" systemctl --user start coracle-auto-update.timer
    check "updates by itself" 0 "it runs 1003" sh "$work/has-come" "$c" 1003
    check "its service ends well" 0 "success" sh -c 'until [ "$(systemctl --user show -P ActiveState coracle-auto-update.service)" != activating ]
        do sleep 1; done; systemctl --user show -P Result coracle-auto-update.service'
    systemctl --user stop coracle-auto-update.timer
    check "stop the unit" 0 "" systemctl --user stop updated.service
    check "its container has gone" 1 "" "$c" container exists updated
    check "rmi of its images" 0 "" "$c" rmi -f "$image:unit"
fi
# --- limits and pausing, in a scope of the user's service manager where the session has none of its own
check "a memory limit" 0 "67108864" "$c" run --rm --network=none -m 64m "$image" cat /sys/fs/cgroup/memory.max
check "a limit of processes" 0 "20" "$c" run --rm --network=none --pids-limit 20 "$image" cat /sys/fs/cgroup/pids.max
check "a processor limit" 0 "50000 100000" "$c" run --rm --network=none --cpus 0.5 "$image" cat /sys/fs/cgroup/cpu.max
check "too much memory" 137 "" "$c" run --name oom --network=none -m 16m --memory-swap 16m "$image" \
    sh -c 'x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done'
check "is recorded" 0 "true" "$c" inspect -f '{{.State.OOMKilled}}' oom
check "run out of memory once" 0 "" "$c" run -d --name twice --restart=on-failure:3 --network=none -m 16m --memory-swap 16m \
    "$image" sh -c 'test -e /ran && exit 5; touch /ran; x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done'
check "and then fail otherwise" 0 "" sh -c '
    until [ "$("$1" inspect -f "{{.State.Status}} {{.RestartCount}}" twice)" = "exited 3" ]; do sleep 0.2; done' sh "$c"
check "the mark is that of the last run" 0 "5 false" "$c" inspect -f '{{.State.ExitCode}} {{.State.OOMKilled}}' twice
if systemctl --user show-environment >/dev/null 2>&1; then
    check "a slice" 0 "/batch.slice/batch-low.slice/coracle-" "$c" run --rm --network=none -m 64m --cgroup-parent batch-low.slice \
        --cgroupns=host "$image" cat /proc/self/cgroup
fi
check "run to be paused" 0 "" "$c" run -d --name still --network=none -m 64m "$image" sleep 1000
check "pause" 0 "still" "$c" pause still
check "paused" 0 "paused" "$c" inspect -f '{{.State.Status}}' still
check "unpause" 0 "still" "$c" unpause still
check "exec shows the limit" 0 "67108864" "$c" exec still cat /sys/fs/cgroup/memory.max
# From this session nobody may be moved there: the command goes into a scope first.
check "exec is under the limits" 0 "0::/" sh -c "$c exec still cat /proc/self/cgroup | grep -x 0::/"
check "update" 0 "still" "$c" update -m 128m still
check "takes effect" 0 "134217728" "$c" exec still cat /sys/fs/cgroup/memory.max
check "stats" 0 "134.2MB" "$c" stats --no-stream still
check "run without a cgroup" 0 "" "$c" run -d --name late --network=none "$image" sleep 1000
check "pause makes one" 0 "late" "$c" pause late
check "rm -f of paused and limited ones" 0 "" "$c" rm -f -t 0 still late oom twice
# --- the account's own cgroups, where everything that it runs could be ended
if systemctl --user show-environment >/dev/null 2>&1; then
    systemd-run --user --quiet --unit=victim sleep 1000
    victim=/sys/fs/cgroup$(systemctl --user show -P ControlGroup victim)
    unit="systemd-run --user --quiet --wait --pipe"
    check "a container has a cgroup of its own" 0 "/coracle-" $unit \
        "$c" run --rm --network=none --cgroupns=host "$image" cat /proc/self/cgroup
    check "and exec is in it" 0 "0::/" sh -c "$scope $c run -d --name apart --network=none $image sleep 1000 >/dev/null; \
        $unit $c exec apart cat /proc/self/cgroup | grep -x 0::/"
    for option in --privileged --cap-add=SYS_ADMIN; do
        $unit "$c" run --rm --network=none "$option" "$image" sh -c 'mount -o remount,bind,rw /sys/fs/cgroup
            mount -t cgroup2 none /tmp; for at in /sys/fs/cgroup /tmp; do echo 1 >$at/cgroup.kill; done' >/dev/null 2>&1
        check "the host's cgroups are read-only, $option" 1 "Read-only" $unit "$c" run --rm --network=host "$option" \
            "$image" sh -c "umount /sys/fs/cgroup; mount -o remount,bind,rw /sys/fs/cgroup; echo 1 >$victim/cgroup.kill"
    done
    check "nothing else was ended" 0 "active" systemctl --user is-active victim
    for option in --network=none --network=host -v/sys:/sys:rslave --userns=nomap --uidmap=0:1:1000; do
        check "a first process like systemd manages its cgroups, $option" 0 "made" $unit "$c" run --rm --systemd=always \
            "$option" "$image" sh -c 'cd /sys/fs/cgroup && mkdir below && echo 0 >below/cgroup.procs && echo made'
    done
    check "rm -f of the one apart" 0 "apart" "$c" rm -f -t 0 apart
    systemctl --user stop victim
    check "no cgroup is left" 1 "" sh -c "find /sys/fs/cgroup/user.slice -name 'coracle-[0-9a-f]*[0-9a-f]' | grep ."
fi
# --- nobody reaches the host through a container that is just being started or stopped
echo mark-of-the-host >"$work/mark"
cat >"$work/window" <<'END'
c=$1 image=$2 work=$3
everybody() {
    "$c" exec w cat "$work/mark" &
    "$c" cp w:/etc/passwd - &
    "$c" cp "$work/layer.tar" "w:$work/planted" &
    "$c" healthcheck run w &
    "$c" run --rm --network=none --ipc=container:w "$image" ls /dev/shm &
    "$c" run --rm --network=none --pid=container:w "$image" cat "/proc/1/root$work/mark" &
    wait
}
rounds=0
for kind in --read-only=false --init --userns=keep-id --restart=always; do
    "$c" create --name w "$kind" --network=none --health-interval=disable \
        --health-cmd "echo owned >$work/planted" "$image" sleep 1000
    for _ in 1 2 3; do
        "$c" start w &
        everybody
        "$c" stop -t 0 w &
        everybody
        rounds=$((rounds + 1))
    done
    "$c" rm -f -t 0 w
done >"$work/seen" 2>/dev/null
{
    grep -a -e mark-of-the-host -e '^daemon:' "$work/seen"
    ls "$work/planted" 2>/dev/null
    echo "$rounds rounds"
} | tee "$work/found"
END
SMOKE_LIMIT=600 check "nobody slips in between starts and stops" 0 "12 rounds" sh "$work/window" "$c" "$image" "$work"
check "and see nothing of the host" 0 "" sh -c "[ \$(wc -l <'$work/found') -eq 1 ]"
# --- this guest's own tree as an image whose first process is systemd
tree() {
    tar -C / -c --exclude=usr/lib/modules --exclude='usr/share/[!d]*' --exclude=prepare.service --exclude=smoke.service --exclude='again.*' \
        --exclude=etc/fstab bin sbin lib lib64 usr etc 2>/dev/null
}
if [ "$(cat /proc/1/comm)" = systemd ]; then
    tree | "$c" import -q - sysimg >/dev/null
    check "run systemd" 0 "" "$c" run -d --name sys --systemd=always --network=none sysimg /sbin/init
    cat >"$work/boots" <<'END'
for _ in $(seq 40); do
    case $("$1" exec sys systemctl is-system-running 2>&1) in running | degraded) break ;; esac
    sleep 2
done
"$1" exec sys sh -c 'systemctl is-active multi-user.target; cat /proc/1/cgroup'
END
    check "it boots in a cgroup of its own" 0 "active
0::/init.scope" sh "$work/boots" "$c"
    check "stop has it shut down" 0 "sys" "$c" stop -t 60 sys
    check "in good order" 0 "0" "$c" inspect -f '{{.State.ExitCode}}' sys
    check "rm and rmi of it" 0 "sys" sh -c "$c rm sys && $c rmi sysimg"
fi
# --- networks that containers share, and pods
# In a static program, the C library cannot look names up.
asks() { printf '%s' "$c exec $1 nslookup $2"; }
get() { printf '%s' "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 10 $1 80"; }
address() { "$c" inspect -f "{{.NetworkSettings.Networks.$2.IPAddress}}" "$1"; }
check "make networks" 0 "front" sh -c "$c network create back && $c network create front"
check "a server on one of them" 0 "" "$c" run -d --name db --network back:alias=store -p "127.0.0.1:$web:80" "$image" httpd -f -h /www
check "its published port" 0 "served" curl -s --retry 20 --retry-connrefused --retry-delay 1 "http://127.0.0.1:$web/"
check "a client on the other one" 0 "" "$c" run -d --name client --network front --cap-add NET_ADMIN,NET_RAW "$image" sleep 1000
check "they do not know each other" 1 "NXDOMAIN" $(asks client db)
check "connect it" 0 "" "$c" network connect back client
check "its name" 0 "Name:" $(asks client db)
check "its alias" 0 "Name:" $(asks client store)
check "reach it" 0 "served" "$c" exec client sh -c "$(get "$(address db back)")"
if [ -e /etc/systemd/system/other.path ]; then
    cp "$work/layer.tar" /tmp/layer.tar
    # Asks the guest to have another account do the same.
    echo "$binary /tmp/layer.tar $(id -un) $work $web" >"$work/other" && mv "$work/other" "$HOME/other"
    check "another account sees and reaches nothing of it" 0 "all held" \
        sh -c 'for i in $(seq 110); do [ -e /tmp/other.said ] && break; sleep 1; done; cat /tmp/other.said'
    check "nor is anything of it lost" 0 "served" "$c" exec client sh -c "$(get "$(address db back)")"
fi
check "a neighbour that takes another one's address" 0 "" "$c" run -d --name thief --network back --cap-add NET_ADMIN,NET_RAW \
    "$image" sleep 1000
check "announces it" 0 "" sh -c "$c exec thief sh -c 'ip addr add $(address db back)/32 dev eth0
    arping -c 2 -w 2 -U -I eth0 -s $(address db back) $(address db back)
    arping -c 2 -w 2 -A -I eth0 -s $(address db back) $(address db back); ip addr flush dev eth0
    ip addr add $(address db back)/24 dev eth0' || true"
check "and gets no answer" 1 "100% packet loss" "$c" exec thief ping -c 2 -W 2 "$(address client back)"
check "nor what is for its neighbour" 0 "served" "$c" exec client sh -c "$(get "$(address db back)")"
check "disconnect it" 0 "" "$c" network disconnect back client
check "it is a stranger again" 1 "NXDOMAIN" $(asks client db)
check "a pod" 0 "" sh -c "$c rm -f -t 0 db && $c pod create --name shop --network back -p 127.0.0.1:$web:80 &&
    $c run -d --pod shop --name shop-web $image httpd -f -h /www"
check "its containers share a loopback" 0 "served" "$c" run --rm --pod shop "$image" sh -c "$(get 127.0.0.1)"
check "its published port" 0 "served" curl -s --retry 20 --retry-connrefused --retry-delay 1 "http://127.0.0.1:$web/"
check "away with all" 0 "back" sh -c "$c pod rm -f -t 0 shop && $c rm -f -t 0 client thief && $c network rm front back"
check "no process of a network is left" 0 "" sh -c \
    "for i in 1 2 3 4 5 6 7 8 9 10; do pgrep -u $(id -u) slirp4netns || exit 0; sleep 1; done; exit 1"
# --- programs of another machine, by an emulator in binfmt_misc
foreign=/opt/foreign/bin/busybox
if [ -x "$foreign" ]; then
    mkdir "$work/foreign"
    cp "$foreign" "$work/foreign/busybox"
    cat >"$work/foreign/Containerfile" <<'END'
FROM scratch
COPY busybox /bin/sh
COPY busybox /bin/uname
RUN uname -m >/machine
END
    check "build for another machine" 0 "" "$c" build -q --platform linux/arm64 -t foreign "$work/foreign"
    check "its commands ran there" 0 "aarch64" "$c" run --rm --network=none --platform linux/arm64 foreign \
        sh -c 'read -r machine </machine; echo "$machine"; uname -m'
    check "it says so" 0 "arm64" "$c" inspect -f '{{.Architecture}}' foreign
    check "rmi of it" 0 "foreign" "$c" rmi foreign
fi
check "nothing is left" 0 "" test -z "$("$c" ps -aq)"
check "rmi" 0 "" "$c" rmi "$image"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
