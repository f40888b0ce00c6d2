; Sends every packet back to where it came from, its Ethernet addresses swapped.
; tp4 xdp run examples/xdp/reflect.s --capture captures/veth-mixed.pcap --only 1 --trace

.function reflect
  r2 = *(u32 *)(r1 +0)
  r3 = *(u32 *)(r1 +4)
  r4 = r2
  r4 += 14
  if r4 > r3 goto drop
  r4 = *(u32 *)(r2 +0)
  r5 = *(u16 *)(r2 +4)
  r6 = *(u32 *)(r2 +6)
  r7 = *(u16 *)(r2 +10)
  *(u32 *)(r2 +0) = r6
  *(u16 *)(r2 +4) = r7
  *(u32 *)(r2 +6) = r4
  *(u16 *)(r2 +10) = r5
  r0 = 3                            ; XDP_TX
  exit
drop:
  r0 = 1                            ; XDP_DROP
  exit
