/** A program as assembler text, and what is special about it. */
export interface VerifierProgram {
  readonly name: string;
  readonly text: string;
}

/** One that no verifier may accept. */
export interface HostileProgram extends VerifierProgram {
  /** What the refusal says. */
  readonly reason: RegExp;
}

/** r6 and r7 are begin and end of the packet, r9 the context; `bytes` of it were compared with the end. */
const packet = (bytes: number, body: string): string => `
  r9 = r1
  r6 = *(u32 *)(r1 +0)
  r7 = *(u32 *)(r1 +4)
  r0 = 2
  r2 = r6
  r2 += ${bytes}
  if r2 > r7 goto out
  ${body}
out:
  exit`;

/** r0 is the value, of 16 bytes, of a hash map's entry. */
const value = (body: string, check = 'if r0 == 0x0 goto out'): string => `
  .map counts hash key 4 value 16 entries 8
  *(u32 *)(r10 -4) = 7
  r2 = r10
  r2 += -4
  r1 = map[counts]
  call bpf_map_lookup_elem#1
  ${check}
  ${body}
out:
  r0 = 2
  exit`;

/** r0 are 16 bytes of a ring buffer, to be given back. */
const record = (body: string, check = 'if r0 == 0x0 goto out'): string => `
  .map events ringbuf key 0 value 0 entries 4096
  r1 = map[events]
  r2 = 16
  r3 = 0
  call bpf_ringbuf_reserve#131
  ${check}
  ${body}
out:
  r0 = 2
  exit`;

const submit = `
  r1 = r0
  r2 = 0
  call bpf_ringbuf_submit#132`;

const chain = (functions: number): string => {
  const bodies = Array.from({ length: functions }, (_, index) => {
    const isLast = index === functions - 1;
    return `.function level${index}\n${isLast ? 'r0 = 2' : `call level${index + 1}`}\nexit`;
  });
  return `call level0\nexit\n.text\n${bodies.join('\n')}`;
};

/** What Linux accepts, and so must we. */
export const ACCEPTED: readonly VerifierProgram[] = [
  { name: 'a verdict alone', text: 'r0 = 2\nexit' },
  { name: 'bytes of the packet that were checked, to the last one', text: packet(14, 'r3 = *(u8 *)(r6 +13)') },
  { name: 'stores into the packet', text: packet(14, '*(u64 *)(r6 +6) = r6') },
  {
    name: 'checks with each comparison, either way round',
    text: `
      r6 = *(u32 *)(r1 +0)
      r7 = *(u32 *)(r1 +4)
      r0 = 2
      r2 = r6
      r2 += 4
      if r7 < r2 goto b
      r3 = *(u32 *)(r6 +0)
    b:
      if r7 >= r2 goto c
      exit
    c:
      r3 = *(u32 *)(r6 +0)
      r2 += 1
      if r2 <= r7 goto d
      exit
    d:
      r3 = *(u8 *)(r6 +4)
      if r2 >= r7 goto e
      r3 = *(u8 *)(r6 +5)
    e:
      exit`,
  },
  {
    name: 'a header whose length the packet says',
    text: packet(
      34,
      `r3 = *(u8 *)(r6 +14)
      r3 &= 15
      r3 <<= 2
      r4 = r6
      r4 += 14
      r4 += r3
      r5 = r4
      r5 += 8
      if r5 > r7 goto out
      r3 = *(u16 *)(r4 +2)`,
    ),
  },
  {
    name: 'a loop over options, with a check in each round',
    text: packet(
      14,
      `r8 = 0
      r6 += 14
    next:
      r3 = r6
      r3 += 2
      if r3 > r7 goto out
      r4 = *(u8 *)(r6 +1)
      r4 &= 63
      r6 += r4
      r8 += 1
      if r8 < 10 goto next`,
    ),
  },
  {
    name: 'metadata in front of the packet',
    text: `
      r9 = r1
      r2 = -8
      call bpf_xdp_adjust_meta#54
      if r0 != 0x0 goto out
      r2 = *(u32 *)(r9 +8)
      r3 = *(u32 *)(r9 +0)
      r4 = r2
      r4 += 8
      if r4 > r3 goto out
      r5 = 1
      *(u64 *)(r2 +0) = r5
    out:
      r0 = 2
      exit`,
  },
  {
    name: 'the packet again after its start has moved',
    text: packet(
      14,
      `r1 = r9
      r2 = 4
      call bpf_xdp_adjust_head#44
      r2 = *(u32 *)(r9 +0)
      r3 = *(u32 *)(r9 +4)
      r0 = 2
      r4 = r2
      r4 += 14
      if r4 > r3 goto out
      r4 = *(u8 *)(r2 +13)`,
    ),
  },
  {
    name: 'pointers and numbers that were put on the stack',
    text: packet(
      14,
      `*(u64 *)(r10 -8) = r6
      *(u64 *)(r10 -16) = r7
      *(u32 *)(r10 -20) = 77
      r6 = 0
      r1 = *(u64 *)(r10 -8)
      r2 = *(u32 *)(r10 -20)
      r3 = *(u8 *)(r1 +0)`,
    ),
  },
  { name: 'stack that was not written, as root', text: 'r0 = *(u64 *)(r10 -8)\nexit' },
  {
    name: 'limits of a number on the stack that the register had',
    text: packet(
      64,
      `r3 = *(u64 *)(r6 +0)
      if r3 > 50 goto out
      *(u64 *)(r10 -8) = r3
      r3 = 0
      r4 = *(u64 *)(r10 -8)
      r6 += r4
      r6 += 14
      if r6 > r7 goto out
      r5 = *(u8 *)(r6 -1)`,
    ),
  },
  {
    name: 'a copy of a number that was compared',
    text: value(
      `r3 = *(u64 *)(r0 +0)
      r4 = r3
      if r3 > 15 goto out
      r0 += r4
      r5 = *(u8 *)(r0 +0)`,
    ),
  },
  { name: 'a value, asked for with ==', text: value('r3 = *(u64 *)(r0 +8)\nr3 += 1\n*(u64 *)(r0 +8) = r3') },
  {
    name: 'a value, asked for with != and after it was put away',
    text: value(
      `r1 = *(u64 *)(r10 -16)
      r2 = *(u32 *)(r1 +12)`,
      `*(u64 *)(r10 -16) = r0
      if r0 != 0x0 goto there
      goto out
    there:`,
    ),
  },
  {
    name: 'the value of a constant index of an array',
    text: `
      .map table array key 4 value 8 entries 4
      *(u32 *)(r10 -8) = 3
      r2 = r10
      r2 += -8
      r1 = map[table]
      call bpf_map_lookup_elem#1
      r0 = *(u64 *)(r0 +0)
      exit`,
  },
  {
    name: 'an index made small by a mask',
    text: value('r3 = *(u64 *)(r0 +0)\nr3 &= 15\nr0 += r3\nr4 = *(u8 *)(r0 +0)'),
  },
  {
    name: 'an index made small by comparisons of 32 bits',
    text: value('r3 = *(u32 *)(r0 +0)\nif w3 s< 0 goto out\nif w3 s> 8 goto out\nr0 += r3\nr4 = *(u64 *)(r0 +0)'),
  },
  {
    name: 'an index with a known sign',
    text: value('r3 = *(s8 *)(r0 +0)\nif r3 s> -1 goto out\nif r3 s< -8 goto out\nr0 -= r3\nr4 = *(u64 *)(r0 +0)'),
  },
  {
    name: 'keys and values in packet and map',
    text: value(
      `r1 = map[counts]
      r2 = r0
      r3 = r0
      r4 = 0
      call bpf_map_update_elem#2`,
    ),
  },
  {
    name: 'global variables, and code that constant ones switch off',
    text: `
      .map settings array key 4 value 8 entries 1 flags 128 frozen
      .value 00 00 00 00 01 00 00 00
      .map state array key 4 value 8 entries 1
      r1 = map[settings][0]+0
      r2 = *(u32 *)(r1 +0)
      r0 = 2
      if r2 == 0x0 goto out
      r3 = *(u64 *)(r2 +0)
    out:
      r1 = map[state][0]+4
      *(u32 *)(r1 +0) = 5
      exit`,
  },
  {
    name: 'a subprogram that looks at the packet',
    text: `
      r6 = r1
      r1 = *(u32 *)(r6 +0)
      r2 = *(u32 *)(r6 +4)
      call first_byte
      exit
      .text
      .function first_byte
      r0 = 0
      r3 = r1
      r3 += 1
      if r3 > r2 goto out
      r0 = *(u8 *)(r1 +0)
    out:
      exit`,
  },
  {
    name: 'a subprogram that fills in what is on its caller’s stack',
    text: `
      r1 = r10
      r1 += -8
      call fill
      r0 = *(u64 *)(r10 -8)
      exit
      .text
      .function fill
      r2 = 5
      *(u64 *)(r1 +0) = r2
      r0 = 0
      exit`,
  },
  { name: 'eight frames', text: chain(7) },
  {
    name: 'all of the stack, in two frames',
    text: `
      r1 = 0
      *(u64 *)(r10 -256) = r1
      call other
      exit
      .text
      .function other
      *(u64 *)(r10 -256) = r1
      r0 = 2
      exit`,
  },
  {
    name: 'a tail call',
    text: `
      .map others prog_array key 4 value 4 entries 4
      r2 = map[others]
      r3 = 1
      call bpf_tail_call#12
      r0 = 2
      exit`,
  },
  {
    name: 'atomic operations on the stack',
    text: `
      r1 = 1
      *(u64 *)(r10 -8) = r1
      lock *(u64 *)(r10 -8) += r1
      r0 = 2
      r0 = atomic64_cmpxchg((u64 *)(r10 -8), r0, r1)
      r1 = atomic_fetch_or((u32 *)(r10 -8), r1)
      r0 = 2
      exit`,
  },
  {
    name: 'atomic operations on values',
    text: value('r1 = 1\nlock *(u64 *)(r0 +8) += r1\nr1 = atomic_xchg((u32 *)(r0 +4), r1)'),
  },
  { name: 'a loop with a known number of rounds', text: 'r0 = 0\nnext:\nr0 += 1\nif r0 < 1000 goto next\nexit' },
  {
    name: 'loops in a loop',
    text: `
      r0 = 0
      r1 = 0
    outer:
      r2 = 0
    inner:
      r0 += r2
      r2 += 1
      if r2 < 20 goto inner
      r1 += 1
      if r1 < 20 goto outer
      exit`,
  },
  {
    name: 'a loop over the stack',
    text: `
      r1 = 0
      r2 = r10
      r2 += -64
    next:
      *(u8 *)(r2 +0) = r1
      r2 += 1
      r1 += 1
      if r1 != 64 goto next
      r0 = 2
      exit`,
  },
  { name: 'a record that is given back', text: record(`r1 = 1\n*(u64 *)(r0 +8) = r1${submit}`) },
  {
    name: 'a record that is given back on each way',
    text: record(`r6 = r0\ncall bpf_get_prandom_u32#7\nif r0 == 0x0 goto discard\nr0 = r6${submit}\ngoto out
    discard:
      r1 = r6
      r2 = 0
      call bpf_ringbuf_discard#133`),
  },
  {
    name: 'a loop by a helper, that counts on the stack',
    text: `
      *(u64 *)(r10 -8) = 0
      r1 = 100
      r2 = subprog[step]
      r3 = r10
      r3 += -8
      r4 = 0
      call bpf_loop#181
      r0 = *(u64 *)(r10 -8)
      exit
      .text
      .function step
      r3 = *(u64 *)(r2 +0)
      r3 += r1
      *(u64 *)(r2 +0) = r3
      r0 = 0
      exit`,
  },
  {
    name: 'a visit of all entries of a map',
    text: `
      .map counts hash key 4 value 16 entries 8
      r1 = map[counts]
      r2 = subprog[visit]
      r3 = 0
      r4 = 0
      call bpf_for_each_map_elem#164
      r0 = 2
      exit
      .text
      .function visit
      r0 = *(u32 *)(r2 +0)
      r0 = *(u64 *)(r3 +8)
      r0 &= 1
      exit`,
  },
  {
    name: 'a checksum over the packet and the stack',
    text: packet(
      34,
      `*(u32 *)(r10 -4) = 1
      r1 = r6
      r1 += 14
      r2 = 20
      r3 = r10
      r3 += -4
      r4 = 4
      r5 = 0
      call bpf_csum_diff#28
      r0 = 2`,
    ),
  },
  {
    name: 'a redirection by a map',
    text: `
      .map ports devmap key 4 value 4 entries 4
      r2 = *(u32 *)(r1 +16)
      r1 = map[ports]
      r3 = 0
      call bpf_redirect_map#51
      exit`,
  },
  {
    name: 'calculations of all kinds',
    text: packet(
      16,
      `r1 = *(s16 *)(r6 +0)
      r2 = *(u64 *)(r6 +8)
      r1 s/= r2
      r2 s%= 7
      r3 = (s8)r2
      w4 = (s16)w2
      r3 = bswap32 r3
      r4 = be16 r4
      w3 ^= w4
      r3 = -r3
      r3 >>= r1
      r0 = 2`,
    ),
  },
  { name: 'the length of the packet', text: packet(14, 'r0 = r7\nr0 -= r6') },
  {
    name: 'a number that equals a known one',
    text: value('r3 = *(u64 *)(r0 +0)\nif r3 != 8 goto out\nr0 += r3\nr4 = *(u64 *)(r0 +0)'),
  },
  {
    name: 'a bit that is known not to be set',
    text: value('r3 = *(u8 *)(r0 +0)\nif r3 & 0xf8 goto out\nr0 += r3\nr4 = *(u64 *)(r0 +0)'),
  },
];

/** What Linux refuses, and so must we. */
export const HOSTILE: readonly HostileProgram[] = [
  { name: 'a result that was not set', text: 'exit', reason: /register 0 was not written/ },
  { name: 'a register that was not set', text: 'r0 = r6\nexit', reason: /register 6 was not written/ },
  {
    name: 'a register that was set on one way only',
    text: 'r0 = 2\nr2 = *(u32 *)(r1 +12)\nif r2 == 0x0 goto out\nr3 = 1\nout:\nr0 = r3\nexit',
    reason: /register 3 was not written/,
  },
  {
    name: 'an argument register after a call',
    text: 'call bpf_get_prandom_u32#7\nr0 = r1\nexit',
    reason: /register 1 was not written/,
  },
  {
    name: 'a register of the caller’s in a subprogram',
    text: 'r6 = 1\ncall other\nexit\n.text\n.function other\nr0 = r6\nexit',
    reason: /register 6 was not written/,
  },
  {
    name: 'the packet without a check',
    text: 'r2 = *(u32 *)(r1 +0)\nr0 = *(u8 *)(r2 +0)\nexit',
    reason:
      /slot 1 \(r0 = \*\(u8 \*\)\(r2 \+0\)\) of text:2 .*: an access of 1 bytes at packet .* may touch bytes 0 to 0.*r2=packet/,
  },
  {
    name: 'the byte behind what was checked',
    text: packet(14, 'r3 = *(u8 *)(r6 +14)'),
    reason: /14 bytes were compared/,
  },
  {
    name: 'a word that is partly behind it',
    text: packet(14, 'r3 = *(u32 *)(r6 +11)'),
    reason: /may touch bytes 11 to 14/,
  },
  {
    name: 'the byte in front of the packet',
    text: packet(14, 'r3 = *(u8 *)(r6 -1)'),
    reason: /may touch bytes -1 to -1/,
  },
  {
    name: 'the packet on the wrong way of a check',
    text: packet(14, 'goto out\nwrong:\nr3 = *(u8 *)(r6 +0)').replace('if r2 > r7 goto out', 'if r2 > r7 goto wrong'),
    reason: /0 bytes were compared/,
  },
  {
    name: 'a check of a pointer with itself',
    text: packet(14, 'r3 = *(u8 *)(r6 +0)').replace('r2 > r7', 'r2 > r6'),
    reason: /0 bytes were compared/,
  },
  {
    name: 'a pointer from before the packet’s start has moved',
    text: packet(14, 'r1 = r9\nr2 = 4\ncall bpf_xdp_adjust_head#44\nr3 = *(u8 *)(r6 +0)\nr0 = 2'),
    reason: /at a number/,
  },
  {
    name: 'a distance in the packet without a limit',
    text: packet(14, 'r3 = *(u64 *)(r6 +0)\nr6 += r3\nr4 = r6\nr4 += 1\nif r4 > r7 goto out\nr5 = *(u8 *)(r6 +0)'),
    reason: /too far/,
  },
  {
    name: 'a distance in the packet that may be negative',
    text: packet(14, 'r3 = *(s8 *)(r6 +0)\nr6 += r3\nr4 = r6\nr4 += 1\nif r4 > r7 goto out\nr5 = *(u8 *)(r6 +0)'),
    reason: /in front of the packet/,
  },
  {
    name: 'a check farther away than packets go',
    text: packet(65536, 'r3 = *(u8 *)(r6 +0)'),
    reason: /0 bytes were compared/,
  },
  {
    name: 'a check that holds for another distance',
    text: packet(
      34,
      `r3 = *(u8 *)(r6 +0)
      r4 = *(u8 *)(r6 +1)
      r5 = r6
      r5 += r3
      r6 += r4
      r8 = r5
      r8 += 8
      if r8 > r7 goto out
      r8 = *(u8 *)(r6 +7)`,
    ),
    reason: /bytes were compared/,
  },
  {
    name: 'metadata up to the end of the packet',
    text: `r2 = *(u32 *)(r1 +8)
      r3 = *(u32 *)(r1 +4)
      r0 = 2
      r4 = r2
      r4 += 4
      if r4 > r3 goto out
      r5 = *(u32 *)(r2 +0)
    out:
      exit`,
    reason: /packet metadata/,
  },
  { name: 'stack below the frame', text: 'r0 = *(u64 *)(r10 -520)\nexit', reason: /a frame has bytes -512 to -1/ },
  { name: 'stack above the frame', text: 'r0 = 0\n*(u64 *)(r10 +0) = r0\nexit', reason: /a frame has bytes/ },
  {
    name: 'a word that sticks out of the stack',
    text: 'r0 = 0\n*(u64 *)(r10 -4) = r0\nexit',
    reason: /a frame has bytes/,
  },
  {
    name: 'a word of the stack at an odd place',
    text: 'r0 = 0\n*(u64 *)(r10 -12) = r0\nexit',
    reason: /multiple of 8/,
  },
  {
    name: 'a place on the stack without a limit',
    text: 'r2 = *(u32 *)(r1 +16)\nr2 = -r2\nr3 = r10\nr3 += r2\nr0 = 0\n*(u8 *)(r3 -1) = r0\nexit',
    reason: /too far|anywhere/,
  },
  { name: 'a value that may not be there', text: value('r3 = *(u64 *)(r0 +0)', ''), reason: /must be compared with 0/ },
  {
    name: 'a value on the way where it is not there',
    text: value('goto out\nwrong:\nr3 = *(u64 *)(r0 +0)', 'if r0 == 0x0 goto wrong'),
    reason: /at a number/,
  },
  {
    name: 'a value when another one was asked about',
    text: value(
      `r3 = *(u64 *)(r6 +0)`,
      `r6 = r0
      r2 = r10
      r2 += -4
      r1 = map[counts]
      call bpf_map_lookup_elem#1
      if r0 == 0x0 goto out`,
    ),
    reason: /must be compared with 0/,
  },
  { name: 'the byte behind a value', text: value('r3 = *(u8 *)(r0 +16)'), reason: /there are 16 bytes/ },
  { name: 'the byte in front of a value', text: value('r3 = *(u8 *)(r0 -1)'), reason: /may touch bytes -1 to -1/ },
  {
    name: 'an index without a limit',
    text: value('r3 = *(u64 *)(r0 +0)\nr0 += r3\nr4 = *(u8 *)(r0 +0)'),
    reason: /limit/,
  },
  {
    name: 'an index one too high',
    text: value('r3 = *(u64 *)(r0 +0)\nr3 &= 15\nr0 += r3\nr4 = *(u16 *)(r0 +0)'),
    reason: /bytes 0 to 16/,
  },
  {
    name: 'an index of which the sign was forgotten',
    text: value('r3 = *(u64 *)(r0 +0)\nif r3 s> 8 goto out\nr0 += r3\nr4 = *(u64 *)(r0 +0)'),
    reason: /too far/,
  },
  {
    name: 'an index of which only the lower half was compared',
    text: value('r3 = *(u64 *)(r0 +0)\nif w3 > 8 goto out\nr0 += r3\nr4 = *(u64 *)(r0 +0)'),
    reason: /limit/,
  },
  {
    name: 'an index that was small before it was shifted',
    text: value('r3 = *(u64 *)(r0 +0)\nr3 &= 15\nr3 <<= 4\nr0 += r3\nr4 = *(u8 *)(r0 +0)'),
    reason: /may touch bytes 0 to 240/,
  },
  {
    name: 'an index that is good on the way seen first',
    text: value('r3 = *(u64 *)(r0 +0)\nr4 = 100\nif r3 == 0x0 goto join\nr4 = 0\njoin:\nr0 += r4\nr5 = *(u8 *)(r0 +0)'),
    reason: /may touch bytes 100 to 100/,
  },
  {
    name: 'an index that is good on ways that many branches hide',
    text: value(
      `r6 = r0
      r7 = 0
      ${[0, 1, 2, 3, 4, 5].map((bit) => `r3 = *(u64 *)(r6 +0)\nif r3 & ${1 << bit} goto skip${bit}\nr7 += 3\nskip${bit}:`).join('\n')}
      r6 += r7
      r5 = *(u8 *)(r6 +0)`,
    ),
    reason: /may touch bytes 18 to 18/,
  },
  {
    name: 'a number on the stack of which a byte was overwritten',
    text: value(
      `r3 = 1
      *(u64 *)(r10 -16) = r3
      r4 = *(u64 *)(r0 +0)
      *(u8 *)(r10 -14) = r4
      r3 = *(u64 *)(r10 -16)
      r0 += r3
      r5 = *(u8 *)(r0 +0)`,
    ),
    reason: /may touch bytes|limit/,
  },
  {
    name: 'a pointer on the stack of which a byte was overwritten',
    text: packet(14, '*(u64 *)(r10 -8) = r6\n*(u8 *)(r10 -8) = 1\nr3 = *(u64 *)(r10 -8)\nr4 = *(u8 *)(r3 +0)'),
    reason: /at a number/,
  },
  {
    name: 'a pointer on the stack that may have been overwritten',
    text: value(
      `*(u64 *)(r10 -16) = r0
      r3 = *(u64 *)(r0 +0)
      r3 &= 8
      r4 = r10
      r4 += r3
      r5 = 0
      *(u64 *)(r4 -24) = r5
      r3 = *(u64 *)(r10 -16)
      r4 = *(u8 *)(r3 +0)`,
    ),
    reason: /at a number/,
  },
  {
    name: 'a store into constants',
    text: '.map settings array key 4 value 8 entries 1 flags 128 frozen\n.value 01\nr1 = map[settings][0]+0\nr0 = 0\n*(u32 *)(r1 +0) = r0\nexit',
    reason: /may only read map settings/,
  },
  {
    name: 'an update of a map that programs may only read',
    text: `.map settings array key 4 value 8 entries 1 flags 128
      r1 = 0
      *(u64 *)(r10 -8) = r1
      r1 = map[settings]
      r2 = r10
      r2 += -8
      r3 = r2
      r4 = 0
      call bpf_map_update_elem#2
      r0 = 2
      exit`,
    reason: /may only read map settings/,
  },
  {
    name: 'a global variable that is not there',
    text: '.map state array key 4 value 8 entries 1\nr1 = map[state][0]+8\nr0 = 2\nexit',
    reason: /no byte 8/,
  },
  { name: 'a store into the context', text: 'r0 = 2\n*(u32 *)(r1 +0) = r0\nexit', reason: /context cannot be written/ },
  { name: 'two fields of the context at once', text: 'r0 = *(u64 *)(r1 +0)\nexit', reason: /fields of 4 bytes/ },
  { name: 'half a field of the context', text: 'r0 = *(u16 *)(r1 +12)\nexit', reason: /fields of 4 bytes/ },
  { name: 'a field behind the context', text: 'r0 = *(u32 *)(r1 +24)\nexit', reason: /fields of 4 bytes/ },
  { name: 'the interface of sending, on receiving', text: 'r0 = *(u32 *)(r1 +20)\nexit', reason: /devmap/ },
  {
    name: 'another place in the context as the context',
    text: 'r1 += 8\nr2 = 4\ncall bpf_xdp_adjust_head#44\nr0 = 2\nexit',
    reason: /used as it was given/,
  },
  { name: 'a number as a pointer', text: 'r1 = 4096\nr0 = *(u8 *)(r1 +0)\nexit', reason: /at a number \(4096\)/ },
  {
    name: 'a map as memory',
    text: '.map t array key 4 value 4 entries 1\nr1 = map[t]\n*(u32 *)(r1 +0) = 1\nr0 = 2\nexit',
    reason: /no memory to access/,
  },
  {
    name: 'a store behind the packet’s end',
    text: 'r2 = *(u32 *)(r1 +4)\nr0 = *(u8 *)(r2 +0)\nexit',
    reason: /packet end/,
  },
  { name: 'a pointer times a number', text: 'r1 *= 2\nr0 = 2\nexit', reason: /only be added to/ },
  {
    name: 'a pointer to the stack less a number',
    text: 'r2 = r10\nr2 -= 8\nr0 = 2\n*(u64 *)(r2 +0) = r0\nexit',
    reason: /nothing can be subtracted/,
  },
  { name: 'a part of a pointer on the stack', text: 'r0 = 2\n*(u32 *)(r10 -8) = r1\nexit', reason: /4 bytes alone/ },
  { name: 'half a pointer', text: 'w1 += 4\nr0 = 2\nexit', reason: /64 bits/ },
  { name: 'the sum of two pointers', text: 'r1 += r10\nr0 = 2\nexit', reason: /two pointers/ },
  { name: 'a number less a pointer', text: 'r2 = 5\nr2 -= r10\nr0 = 2\nexit', reason: /cannot be subtracted/ },
  {
    name: 'a place behind the packet’s end',
    text: 'r2 = *(u32 *)(r1 +4)\nr2 += 1\nr0 = 2\nexit',
    reason: /packet end cannot/,
  },
  {
    name: 'a place in a value that may not be there',
    text: value('', 'r0 += 8\nif r0 == 0x0 goto out'),
    reason: /must be compared with 0/,
  },
  { name: 'an instruction that no way leads to', text: 'r0 = 2\nexit\nr0 = 1\nexit', reason: /no way leads/ },
  { name: 'a loop without an end', text: 'next:\nr0 = 0\ngoto next', reason: /never ends|no way/ },
  {
    name: 'a loop that only chance ends',
    text: 'next:\ncall bpf_get_prandom_u32#7\nif r0 != 0x0 goto next\nexit',
    reason: /never ends/,
  },
  {
    name: 'a loop of too many rounds',
    text: 'r0 = 0\nr1 = 0x100000000 ll\nnext:\nr0 += 1\nif r0 < r1 goto next\nexit',
    reason: /more than 1000000 instructions/,
  },
  {
    name: 'a subprogram that calls itself',
    text: 'call again\nexit\n.text\n.function again\ncall again\nexit',
    reason: /frames, or never end/,
  },
  { name: 'nine frames', text: chain(8), reason: /more than 8 frames/ },
  {
    name: 'more stack than there is, in two frames',
    text: `
      r1 = 0
      *(u64 *)(r10 -264) = r1
      call other
      exit
      .text
      .function other
      *(u64 *)(r10 -256) = r1
      r0 = 2
      exit`,
    reason: /all frames together have 512/,
  },
  {
    name: 'a result that points to a stack that is gone',
    text: 'call other\nr0 = *(u64 *)(r0 -8)\nexit\n.text\n.function other\nr0 = r10\nexit',
    reason: /returns a pointer to a stack/,
  },
  {
    name: 'a pointer to a stack that is gone, put away',
    text: `
      r1 = r10
      r1 += -8
      call other
      r1 = *(u64 *)(r10 -8)
      r0 = *(u64 *)(r1 -8)
      exit
      .text
      .function other
      *(u64 *)(r1 +0) = r10
      r0 = 0
      exit`,
    reason: /caller's frame/,
  },
  { name: 'a division by nothing', text: 'r0 = 2\nr0 /= 0\nexit', reason: /divides by 0/ },
  { name: 'a shift by all bits', text: 'r0 = 2\nw0 <<= 32\nexit', reason: /32 bits cannot be shifted by 32/ },
  {
    name: 'an atomic operation at an odd place',
    text: value('r1 = 1\nlock *(u64 *)(r0 +4) += r1'),
    reason: /multiple of 8/,
  },
  {
    name: 'an atomic operation on the packet',
    text: packet(16, 'r1 = 1\nlock *(u64 *)(r6 +0) += r1'),
    reason: /atomic operations work on/,
  },
  {
    name: 'an atomic operation on the context',
    text: 'r2 = 1\nlock *(u32 *)(r1 +0) += r2\nr0 = 2\nexit',
    reason: /atomic operations work on/,
  },
  {
    name: 'a number as a map',
    text: 'r1 = 1\nr2 = r10\nr2 += -4\n*(u32 *)(r2 +0) = 1\ncall bpf_map_lookup_elem#1\nr0 = 2\nexit',
    reason: /must be a map/,
  },
  {
    name: 'a number as a key',
    text: '.map t array key 4 value 4 entries 1\nr1 = map[t]\nr2 = 4\ncall bpf_map_lookup_elem#1\nr0 = 2\nexit',
    reason: /at a number/,
  },
  {
    name: 'a key that sticks out of the stack',
    text: '.map t hash key 8 value 4 entries 1\nr1 = map[t]\nr2 = r10\nr2 += -4\n*(u32 *)(r2 +0) = 1\ncall bpf_map_lookup_elem#1\nr0 = 2\nexit',
    reason: /may touch bytes -4 to 3/,
  },
  {
    name: 'a lookup in a map of another kind',
    text: '.map p prog_array key 4 value 4 entries 1\nr1 = map[p]\nr2 = r10\nr2 += -4\n*(u32 *)(r2 +0) = 0\ncall bpf_map_lookup_elem#1\nr0 = 2\nexit',
    reason: /does not take maps of type prog_array/,
  },
  {
    name: 'a tail call by a map of another kind',
    text: '.map p array key 4 value 4 entries 1\nr2 = map[p]\nr3 = 0\ncall bpf_tail_call#12\nr0 = 2\nexit',
    reason: /does not take maps of type array/,
  },
  {
    name: 'a checksum over more than the packet has',
    text: packet(34, 'r1 = 0\nr2 = 0\nr3 = r6\nr4 = 36\nr5 = 0\ncall bpf_csum_diff#28\nr0 = 2'),
    reason: /34 bytes were compared/,
  },
  {
    name: 'a checksum over a length without a limit',
    text: packet(34, 'r1 = 0\nr2 = 0\nr4 = *(u32 *)(r6 +0)\nr3 = r6\nr5 = 0\ncall bpf_csum_diff#28\nr0 = 2'),
    reason: /a size without a limit/,
  },
  {
    name: 'a checksum over a length that may be negative',
    text: packet(34, 'r1 = 0\nr2 = 0\nr4 = *(s8 *)(r6 +0)\nr3 = r6\nr5 = 0\ncall bpf_csum_diff#28\nr0 = 2'),
    reason: /may be negative/,
  },
  { name: 'a record that is not given back', text: record(''), reason: /ends with memory that it reserved/ },
  {
    name: 'a record that is given back twice',
    text: record(`r6 = r0${submit}\nr0 = r6${submit}`),
    reason: /must be reserved memory/,
  },
  {
    name: 'a record after it was given back',
    text: record(`r6 = r0${submit}\nr0 = *(u8 *)(r6 +0)`),
    reason: /at a number/,
  },
  {
    name: 'another place in a record given back',
    text: record(`r0 += 8${submit}`),
    reason: /start of reserved memory/,
  },
  { name: 'a record that may not be there', text: record('', submit), reason: /must be reserved memory/ },
  { name: 'the byte behind a record', text: record(`r3 = *(u8 *)(r0 +16)${submit}`), reason: /there are 16 bytes/ },
  {
    name: 'a tail call with a record in hand',
    text: `.map others prog_array key 4 value 4 entries 4\n${record(`r6 = r0\nr1 = r9\nr2 = map[others]\nr3 = 0\ncall bpf_tail_call#12\nr0 = r6${submit}`).replace('r1 = map[events]', 'r9 = r1\nr1 = map[events]')}`,
    reason: /leaves memory behind/,
  },
  {
    name: 'a callback that returns another number',
    text: 'r1 = 4\nr2 = subprog[step]\nr3 = 0\nr4 = 0\ncall bpf_loop#181\nr0 = 2\nexit\n.text\n.function step\nr0 = 2\nexit',
    reason: /must return 0 or 1/,
  },
  {
    name: 'a loop by a helper that leaves a value behind, farther in each round',
    text: value(
      `*(u64 *)(r10 -16) = r0
      r1 = 100
      r2 = subprog[step]
      r3 = r10
      r3 += -16
      r4 = 0
      call bpf_loop#181
      goto out`,
    ).concat(
      '\n.text\n.function step\nr3 = *(u64 *)(r2 +0)\nr4 = *(u8 *)(r3 +0)\nr3 += 1\n*(u64 *)(r2 +0) = r3\nr0 = 0\nexit',
    ),
    reason: /may touch bytes 16 to 16|more than/,
  },
  {
    name: 'a number as a callback',
    text: 'r1 = 4\nr2 = 5\nr3 = 0\nr4 = 0\ncall bpf_loop#181\nr0 = 2\nexit',
    reason: /must be a subprogram/,
  },
  { name: 'a helper that does not exist', text: 'call 9999\nr0 = 2\nexit', reason: /there is no helper 9999/ },
];

/** What our verifier accepts and Linux refuses: docs/ebpf-verifier.md says why. */
export const LENIENT: readonly VerifierProgram[] = [
  {
    name: 'an index made small by a remainder',
    text: value('r3 = *(u64 *)(r0 +0)\nr3 %= 13\nr0 += r3\nr4 = *(u32 *)(r0 +0)'),
  },
  {
    name: 'the value of a constant index, in the upper half of a word of the stack',
    text: `
      .map table array key 4 value 8 entries 4
      *(u32 *)(r10 -4) = 3
      r2 = r10
      r2 += -4
      r1 = map[table]
      call bpf_map_lookup_elem#1
      r0 = *(u64 *)(r0 +0)
      exit`,
  },
];
