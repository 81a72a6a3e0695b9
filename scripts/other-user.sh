#!/bin/sh
# What another account of the machine does while scripts/smoke.sh has containers and networks: the same things under the
# same names. Prints "all held" at the end, or what did not.
#   scripts/other-user.sh BINARY LAYER THEIR-USER THEIR-DIRECTORY THEIR-PORT
set -u
c=$1 layer=$2 user=$3 theirs=$4 port=$5
held=yes
wrong() {
    echo "WRONG: $*"
    held=no
}

[ -z "$("$c" ps -aq)" ] || wrong "it sees containers"
"$c" network ls --format '{{.Name}}' | grep -qx back && wrong "it sees networks"
"$c" import "$layer" mine >/dev/null || wrong "import"
"$c" network create back >/dev/null || wrong "a network of the same name"
"$c" run -d --name db --network back mine sh -c 'mkdir /tmp/w; echo other >/tmp/w/index.html; exec httpd -f -h /tmp/w' >/dev/null || wrong "a container of the same name"
"$c" run -d --name client --network back mine sleep 1000 >/dev/null || wrong "a second container"
get="printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 10 db 80"
address=$("$c" inspect -f '{{.NetworkSettings.Networks.back.IPAddress}}' db)
"$c" exec client nslookup db | grep -q "Address: $address" || wrong "its own name"
for _ in 1 2 3 4 5; do
    told=$("$c" exec client sh -c "$(echo "$get" | sed "s/ db / $address /")")
    [ -n "$told" ] && break
    sleep 1
done
echo "$told" | grep -q other || wrong "its own server says $told"
"$c" exec client nslookup store | grep -q NXDOMAIN || wrong "an alias of theirs has an answer"
"$c" run --rm -p "127.0.0.1:$port:80" mine true
[ $? -eq 125 ] || wrong "their port is given twice"
for dir in "$theirs" "/run/user/$(id -u "$user")"; do
    ls "$dir" >/dev/null 2>&1 && wrong "$dir is open"
    "$c" --root "$theirs/root" --runroot "$theirs/run" ps >/dev/null 2>&1 && wrong "their store is open"
done
for pid in $(pgrep -u "$user" coracle); do
    kill -0 "$pid" 2>/dev/null && wrong "process $pid takes signals"
    nsenter -t "$pid" -U -n --preserve-credentials true 2>/dev/null && wrong "process $pid lets others in"
    ls "/proc/$pid/fd" >/dev/null 2>&1 && wrong "process $pid shows its files"
done
[ -n "$(pgrep -u "$user" coracle)" ] || wrong "they have no processes"
# Whoever knows its name may connect to an abstract socket, whatever the file system says.
grep '@.*coracle' /proc/net/unix && wrong "an abstract socket"
"$c" rm -f -t 0 db client >/dev/null && "$c" network rm back >/dev/null || wrong "away with all"
[ $held = no ] || echo "all held"
