#!/bin/busybox sh
# First process of the virtual machine: joins nothing but its two cards, runs the tests, and ends the machine. What the tests write goes
# to the second serial port; what goes wrong before them, to the console.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
exec >/dev/console 2>&1 </dev/null

while read -r module; do insmod "/modules/$module.ko"; done </modules/order

# The cards by their addresses, quiet: no packets but the tests' own.
for path in /sys/class/net/*; do
  case $(cat "$path/address") in
    02:00:00:00:00:0a) name=tp4near ;;
    02:00:00:00:00:0b) name=tp4far ;;
    *) continue ;;
  esac
  ip link set "${path##*/}" name $name
  echo 1 >/proc/sys/net/ipv6/conf/$name/disable_ipv6
  ip link set $name up
done
ip link set lo up

stty -F /dev/ttyS1 raw
cd /project
status=0
while read -r test; do
  NO_COLOR=1 /node --expose-gc "$test" >/dev/ttyS1 2>&1 || status=1
done </tests
echo "status $status" >/dev/ttyS1
poweroff -f
