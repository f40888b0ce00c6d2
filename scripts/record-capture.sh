#!/usr/bin/env bash
# Records captures/veth-mixed.pcap: real programs talking over a veth pair between two network namespaces.
#
#   scripts/record-capture.sh [FILE]
#
# Needs Linux, root, and: iproute2, ethtool, tcpdump, iputils-ping, curl, node, openssl, dnsmasq, dig, iperf3. Where there are ssh
# and sshd, an ssh session is recorded, too. Everything happens inside the two namespaces; they are removed at the end.
set -euo pipefail

file=${1:-$(dirname "$0")/../captures/veth-mixed.pcap}
client=tp4-client
server=tp4-server
link=tp4veth
client4=192.0.2.1 server4=192.0.2.2            # RFC 5737
client6=2001:db8::1 server6=2001:db8::2        # RFC 3849
domain=example.test                            # RFC 6761

for tool in ip ethtool tcpdump ping curl node openssl dnsmasq dig iperf3; do
  command -v "$tool" > /dev/null || { echo "record-capture: $tool is missing" >&2; exit 1; }
done
with_ssh=false
if command -v ssh > /dev/null && command -v sshd > /dev/null; then with_ssh=true; fi
for name in "$client" "$server"; do
  if ip netns list | grep -qw "$name"; then
    echo "record-capture: there is a network namespace $name already; remove it with: ip netns del $name" >&2
    exit 1
  fi
done

work=$(mktemp -d)
pids=()
cleanup() {
  for pid in "${pids[@]}"; do kill "$pid" 2> /dev/null || true; done
  wait 2> /dev/null || true
  ip netns del "$client" 2> /dev/null || true
  ip netns del "$server" 2> /dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

# A program in a namespace also gets a host name and a resolver of its own, so that nothing of this machine is recorded.
echo "nameserver $server4" > "$work/resolv.conf"
{ grep -v '^sshd:' /etc/passwd; echo 'sshd:x:65533:65534::/nonexistent:/usr/sbin/nologin'; } > "$work/passwd"
cat > "$work/enter" << 'ENTER'
#!/bin/sh
hostname "$1"
mount --bind "$2/resolv.conf" /etc/resolv.conf
mount --bind "$2/passwd" /etc/passwd
mount -t tmpfs none /run
mkdir /run/sshd
shift 2
exec "$@"
ENTER
chmod +x "$work/enter"
in_client() { ip netns exec "$client" unshare --uts "$work/enter" client "$work" "$@"; }
in_server() { ip netns exec "$server" unshare --uts "$work/enter" server "$work" "$@"; }
background() { "$@" > "$work/log.${#pids[@]}" 2>&1 & pids+=($!); }

ip netns add "$client"
ip netns add "$server"
ip link add "${link}0" netns "$client" address 02:00:00:00:00:01 type veth peer name "${link}1" netns "$server" address 02:00:00:00:00:02
for side in "$client ${link}0" "$server ${link}1"; do
  read -r namespace interface <<< "$side"
  # Packets as they would be on a wire: none longer than the MTU, checksums filled in.
  for feature in tso gso gro tx rx sg; do
    ip netns exec "$namespace" ethtool -K "$interface" "$feature" off > /dev/null 2>&1 || true
  done
  ip -n "$namespace" link set lo up
done
ip -n "$client" addr add "$client4/24" dev "${link}0"
ip -n "$server" addr add "$server4/24" dev "${link}1"
ip -n "$client" addr add "$client6/64" dev "${link}0" nodad
ip -n "$server" addr add "$server6/64" dev "${link}1" nodad

background ip netns exec "$client" tcpdump -q -i "${link}0" -s 0 -B 8192 --time-stamp-precision=nano -w "$work/capture.pcap"
tcpdump_pid=$!
ip -n "$server" link set "${link}1" up
ip -n "$client" link set "${link}0" up

# Servers: DNS, HTTP and HTTPS, iperf3, ssh.
background in_server dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --user=root --pid-file= \
  --listen-address="$server4,$server6" --bind-interfaces \
  --host-record="www.$domain,$server4,$server6" --cname="web.$domain,www.$domain" --mx-host="$domain,mail.$domain,10" \
  --host-record="mail.$domain,$server4" --txt-record="$domain,v=spf1 -all" --ptr-record="2.2.0.192.in-addr.arpa,www.$domain" \
  --srv-host="_http._tcp.$domain,www.$domain,80,0,5" --local="/$domain/" --address="/pool.$domain/203.0.113.9" \
  $(for i in $(seq 60); do echo "--host-record=many.$domain,203.0.113.$i"; done)
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=www.$domain" -keyout "$work/key.pem" -out "$work/cert.pem" 2> /dev/null
cat > "$work/web.mjs" << 'WEB'
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
const folder = process.argv[2];
// Lines of text, as many as asked for in the path; uploads are counted.
function answer(request, response) {
  let received = 0;
  request.on('data', (chunk) => { received += chunk.length; });
  request.on('end', () => {
    const size = Number(new URL(request.url, 'http://x').searchParams.get('size') ?? 0);
    const lines = [];
    for (let i = 0, length = 0; length < size; i++) {
      lines.push(`{"line":${i},"square":${i * i},"received":${received}}\n`);
      length += lines[i].length;
    }
    response.setHeader('content-type', 'application/x-ndjson');
    response.end(lines.join('').slice(0, size));
  });
}
createServer(answer).listen(80, '::');
createSecureServer({ key: readFileSync(`${folder}/key.pem`), cert: readFileSync(`${folder}/cert.pem`) }, answer).listen(443, '::');
WEB
background in_server node "$work/web.mjs" "$work"
background in_server iperf3 -s
if "$with_ssh"; then
  ssh-keygen -q -t ed25519 -N '' -C host -f "$work/host_key"
  ssh-keygen -q -t ed25519 -N '' -C user -f "$work/user_key"
  background in_server "$(command -v sshd)" -D -e -f /dev/null -h "$work/host_key" -o UsePAM=no -o PidFile=none -o StrictModes=no \
    -o AuthorizedKeysFile="$work/user_key.pub" -o PermitRootLogin=yes -o UseDNS=no -o PrintMotd=no -o PrintLastLog=no
fi
in_client sh -c "for i in \$(seq 50); do
  curl -s -o /dev/null --max-time 1 http://$server4/ && dig +short +tries=1 +time=1 @$server4 www.$domain > /dev/null && exit; sleep 0.1
done; exit 1"

# Neighbours and echoes: ARP, neighbour discovery, ICMP of all sizes, some of them in fragments.
ip -n "$client" neigh flush dev "${link}0"
in_client ping -q -c 20 -i 0.02 "$server4"
in_client ping -q -6 -c 20 -i 0.02 "$server6"
for size in 0 1 100 500 1000 1400 1472; do in_client ping -q -c 5 -i 0.01 -s "$size" "$server4"; done
for size in 8 200 1452; do in_client ping -q -6 -c 5 -i 0.01 -s "$size" "$server6"; done
in_client ping -q -c 4 -i 0.02 -s 4000 "$server4"
in_client ping -q -6 -c 4 -i 0.02 -s 4000 "$server6"
in_client ping -q -c 2 -i 0.2 -W 1 192.0.2.77 || true   # nobody there
in_client ping -q -6 -c 5 -i 0.01 "ff02::1%${link}0"

# Names: found and not found, over UDP and TCP, from many ports.
in_client sh -c "for i in \$(seq 40); do
  echo www.$domain A; echo web.$domain AAAA; echo host\$i.pool.$domain A
done > $work/names
for address in $server4 $server6; do
  dig @\$address +tries=1 +time=1 -f $work/names > /dev/null
  dig @\$address +tries=1 +time=1 $domain MX $domain TXT _http._tcp.$domain SRV -x $server4 nobody.$domain > /dev/null
  dig @\$address +bufsize=512 many.$domain > /dev/null
  dig @\$address +tcp www.$domain > /dev/null
done
dig @$server4 -p 5353 +tries=1 +time=1 www.$domain > /dev/null || true   # a closed port"

# Web: many short connections, one with many requests, uploads, TLS; meanwhile a voice-like stream of small datagrams.
in_client iperf3 -c "$server4" -u -b 400K -l 160 -t 2 > "$work/iperf-udp" &
stream=$!
sleep 0.3
in_client sh -c "
for size in 0 1 100 1000 1400 2000 5000 10000 20000 50000; do
  curl -4 -s -o /dev/null http://www.$domain/text?size=\$size
  curl -s -o /dev/null 'http://[$server6]/text?size='\$size
done
for i in \$(seq 40); do echo url=http://www.$domain/small/\$i?size=\$((i * 97)); echo output=/dev/null; done > $work/urls
curl -s -K $work/urls
head -c 30000 /dev/zero | tr '\\0' 'u' | curl -s -o /dev/null -H 'Expect:' --data-binary @- http://$server4/upload
for size in 10 3000 60000; do curl -s -k -o /dev/null https://www.$domain/secret?size=\$size; done
curl -s -o /dev/null http://$server4:8080/ || true   # a closed port
"
wait "$stream"
in_client iperf3 -c "$server4" -n 150K > "$work/iperf-tcp"
in_client iperf3 -c "$server6" -n 100K -R > "$work/iperf-tcp6"
in_client iperf3 -c "$server4" -u -b 8M -l 1400 -n 60K > "$work/iperf-udp-large" || true
if "$with_ssh"; then
  in_client ssh -q -F /dev/null -i "$work/user_key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@"$server4" \
    'for i in 1 2 3 4 5; do seq 1 200; sleep 0.05; done' > "$work/ssh.out"
fi

sleep 0.3
kill "$tcpdump_pid"
wait "$tcpdump_pid" || true
cat "$work/log.0" >&2
install -m 644 "$work/capture.pcap" "$file"
echo "recorded $file: $(stat -c %s "$file") bytes"
