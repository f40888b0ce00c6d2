/** The programs that are measured: what they do, in the kernel's notation, for the interpreter, the compiler and Linux alike. */
export const XDP_PROGRAMS = {
  drop: `.section xdp
.function drop
  r0 = 1
  exit
`,
  'swap addresses': `.section xdp
.function swap
  r2 = *(u32 *)(r1 + 0)
  r3 = *(u32 *)(r1 + 4)
  r0 = 1
  r4 = r2
  r4 += 14
  if r4 > r3 goto out
  r4 = *(u32 *)(r2 + 0)
  r5 = *(u16 *)(r2 + 4)
  r6 = *(u32 *)(r2 + 6)
  r7 = *(u16 *)(r2 + 10)
  *(u32 *)(r2 + 0) = r6
  *(u16 *)(r2 + 4) = r7
  *(u32 *)(r2 + 6) = r4
  *(u16 *)(r2 + 10) = r5
  r0 = 3
out: exit
`,
  'parse to UDP port': `.section xdp
.function parse
  r2 = *(u32 *)(r1 + 0)
  r3 = *(u32 *)(r1 + 4)
  r0 = 2
  r4 = r2
  r4 += 34
  if r4 > r3 goto out
  r4 = *(u16 *)(r2 + 12)
  if r4 != 8 goto out
  r4 = *(u8 *)(r2 + 23)
  if r4 != 17 goto out
  r4 = *(u8 *)(r2 + 14)
  r4 &= 15
  if r4 < 5 goto out
  r4 <<= 2
  r2 += 14
  r2 += r4
  r4 = r2
  r4 += 8
  if r4 > r3 goto out
  r4 = *(u16 *)(r2 + 2)
  r4 = be16 r4
  if r4 != 4791 goto out
  r0 = 1
out: exit
`,
  'LPM firewall': `.map prefixes lpm_trie key 8 value 4 entries 10000 flags 0x1
.section xdp
.function firewall
  r2 = *(u32 *)(r1 + 0)
  r3 = *(u32 *)(r1 + 4)
  r0 = 2
  r4 = r2
  r4 += 34
  if r4 > r3 goto out
  r4 = *(u16 *)(r2 + 12)
  if r4 != 8 goto out
  r4 = *(u32 *)(r2 + 26)
  *(u32 *)(r10 - 4) = r4
  *(u32 *)(r10 - 8) = 32
  r2 = r10
  r2 += -8
  r1 = map[prefixes]
  call map_lookup_elem
  if r0 == 0 goto pass
  r0 = *(u32 *)(r0 + 0)
  goto out
pass: r0 = 2
out: exit
`,
  'hash counter': `.map counts hash key 4 value 8 entries 1024
.section xdp
.function count
  r2 = *(u32 *)(r1 + 0)
  r3 = *(u32 *)(r1 + 4)
  r0 = 1
  r4 = r2
  r4 += 34
  if r4 > r3 goto out
  r4 = *(u32 *)(r2 + 26)
  *(u32 *)(r10 - 4) = r4
  r2 = r10
  r2 += -4
  r1 = map[counts]
  call map_lookup_elem
  if r0 == 0 goto add
  r1 = 1
  lock *(u64 *)(r0 + 0) += r1
  r0 = 2
  goto out
add: r1 = 1
  *(u64 *)(r10 - 16) = r1
  r2 = r10
  r2 += -4
  r3 = r10
  r3 += -16
  r4 = 0
  r1 = map[counts]
  call map_update_elem
  r0 = 2
out: exit
`,
  'checksum rewrite': `.section xdp
.function rewrite
  r2 = *(u32 *)(r1 + 0)
  r3 = *(u32 *)(r1 + 4)
  r0 = 1
  r4 = r2
  r4 += 34
  if r4 > r3 goto out
  r4 = 0x0100000a
  *(u32 *)(r2 + 30) = r4
  r4 = 0
  *(u16 *)(r2 + 24) = r4
  r5 = 0
  r6 = r2
next: r7 = *(u16 *)(r6 + 14)
  r5 += r7
  r6 += 2
  r4 += 1
  if r4 != 10 goto next
  r4 = r5
  r4 >>= 16
  r5 &= 0xffff
  r5 += r4
  r4 = r5
  r4 >>= 16
  r5 += r4
  r5 ^= -1
  *(u16 *)(r2 + 24) = r5
  r0 = 3
out: exit
`,
} as const;

export type XdpProgramName = keyof typeof XDP_PROGRAMS;
