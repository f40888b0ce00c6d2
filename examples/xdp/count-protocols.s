; Drops DNS questions over IPv4 and counts all IPv4 packets by protocol.
; tp4 xdp run examples/xdp/count-protocols.s --capture captures/veth-mixed.pcap --maps

.license "Dual MIT/GPL"
.map protocols array key 4 value 8 entries 256

.section xdp
.function count_protocols
  r6 = *(u32 *)(r1 +0)              ; the packet's first byte
  r7 = *(u32 *)(r1 +4)              ; the byte after its last
  r2 = r6
  r2 += 42                          ; Ethernet, IPv4 without options, UDP
  if r2 > r7 goto pass
  r2 = *(u16 *)(r6 +12)
  if r2 != 0x0008 goto pass         ; IPv4, in network byte order
  r8 = *(u8 *)(r6 +23)              ; protocol
  r1 = r8
  call count
  if r8 != 17 goto pass             ; UDP
  r2 = *(u16 *)(r6 +36)             ; destination port
  r2 = be16 r2
  if r2 == 53 goto drop
pass:
  r0 = 2                            ; XDP_PASS
  exit
drop:
  r0 = 1                            ; XDP_DROP
  exit

.text
.function count                     ; r1: which
  *(u32 *)(r10 -4) = r1
  r1 = map[protocols]
  r2 = r10
  r2 += -4
  call bpf_map_lookup_elem#1
  if r0 == 0 goto none
  r1 = 1
  lock *(u64 *)(r0 +0) += r1
none:
  r0 = 0
  exit
