import type { ClassicInstruction } from './instruction.js';
import * as op from './opcodes.js';

const CLASS_MASK = 0x07;
const SIZE_MASK = 0x18;
const MODE_MASK = 0xe0;
const OPERATION_MASK = 0xf0;

const LOADS: Readonly<Record<number, string>> = { [op.BPF_W]: 'ld', [op.BPF_H]: 'ldh', [op.BPF_B]: 'ldb' };
const ARITHMETIC: Readonly<Record<number, string>> = {
  [op.BPF_ADD]: 'add',
  [op.BPF_SUB]: 'sub',
  [op.BPF_MUL]: 'mul',
  [op.BPF_DIV]: 'div',
  [op.BPF_OR]: 'or',
  [op.BPF_AND]: 'and',
  [op.BPF_LSH]: 'lsh',
  [op.BPF_RSH]: 'rsh',
  [op.BPF_MOD]: 'mod',
  [op.BPF_XOR]: 'xor',
};
/** Operations on bits: their values are shown in hexadecimal. */
const BITWISE = new Set([op.BPF_OR, op.BPF_AND, op.BPF_XOR]);
const JUMPS: Readonly<Record<number, string>> = {
  [op.BPF_JEQ]: 'jeq',
  [op.BPF_JGT]: 'jgt',
  [op.BPF_JGE]: 'jge',
  [op.BPF_JSET]: 'jset',
};
const BESIDE_PACKET: Readonly<Record<number, string>> = {
  [op.SKF_AD_PROTOCOL]: 'proto',
  [op.SKF_AD_PKTTYPE]: 'type',
  [op.SKF_AD_IFINDEX]: 'ifidx',
  [op.SKF_AD_VLAN_TAG]: 'vlan_tci',
  [op.SKF_AD_VLAN_TAG_PRESENT]: 'vlanp',
  [op.SKF_AD_VLAN_TPID]: 'vlan_tpid',
};

/** A program in the notation of `tcpdump -d`, one line an instruction: `(001) jeq      #0x800           jt 2	jf 6`. */
export function disassembleClassicProgram(program: readonly ClassicInstruction[]): string {
  return program.map((instruction, at) => disassemble(instruction, at)).join('\n');
}

function disassemble(instruction: ClassicInstruction, at: number): string {
  const { code, jumpTrue, jumpFalse } = instruction;
  const [name, operand] = parts(instruction, at);
  const line = `(${String(at).padStart(3, '0')}) ${name.padEnd(8)} `;
  if ((code & CLASS_MASK) !== op.BPF_JMP || code === (op.BPF_JMP | op.BPF_JA)) return line + operand;
  return `${line}${operand.padEnd(16)} jt ${at + 1 + jumpTrue}\tjf ${at + 1 + jumpFalse}`;
}

/** Name and operand. */
function parts(instruction: ClassicInstruction, at: number): [string, string] {
  const { code, value } = instruction;
  const unknown: [string, string] = ['unimp', `0x${code.toString(16)}`];
  switch (code & CLASS_MASK) {
    case op.BPF_LD:
      return load(instruction) ?? unknown;
    case op.BPF_LDX:
      if (code === (op.BPF_LDX | op.BPF_B | op.BPF_MSH)) return ['ldxb', `4*([${value}]&0xf)`];
      return register('ldx', instruction) ?? unknown;
    case op.BPF_ST:
      return ['st', `M[${value}]`];
    case op.BPF_STX:
      return ['stx', `M[${value}]`];
    case op.BPF_ALU: {
      const operation = code & OPERATION_MASK;
      if (operation === op.BPF_NEG) return ['neg', ''];
      const name = ARITHMETIC[operation];
      if (name === undefined) return unknown;
      if ((code & op.BPF_X) !== 0) return [name, 'x'];
      return [name, BITWISE.has(operation) ? hexadecimal(value) : `#${value}`];
    }
    case op.BPF_JMP: {
      if (code === (op.BPF_JMP | op.BPF_JA)) return ['ja', String(at + 1 + value)];
      const name = JUMPS[code & OPERATION_MASK];
      return name === undefined ? unknown : [name, (code & op.BPF_X) !== 0 ? 'x' : hexadecimal(value)];
    }
    case op.BPF_RET:
      return ['ret', (code & (op.BPF_A | op.BPF_X)) === op.BPF_A ? '' : `#${value}`];
    default:
      return (code & 0xf8) === op.BPF_TXA ? ['txa', ''] : ['tax', ''];
  }
}

function load(instruction: ClassicInstruction): [string, string] | undefined {
  const { code, value } = instruction;
  const name = LOADS[code & SIZE_MASK];
  if (name === undefined) return undefined;
  switch (code & MODE_MASK) {
    case op.BPF_ABS: {
      const beside = value >= op.SKF_AD_OFF ? BESIDE_PACKET[value - op.SKF_AD_OFF] : undefined;
      return [name, `[${beside ?? value}]`];
    }
    case op.BPF_IND:
      return [name, `[x + ${value}]`];
    default:
      return register('ld', instruction);
  }
}

/** Loads that both registers have. */
function register(name: string, { code, value }: ClassicInstruction): [string, string] | undefined {
  switch (code & MODE_MASK) {
    case op.BPF_IMM:
      return [name, hexadecimal(value)];
    case op.BPF_LEN:
      return [name, '#pktlen'];
    case op.BPF_MEM:
      return [name, `M[${value}]`];
    default:
      return undefined;
  }
}

function hexadecimal(value: number): string {
  return `#0x${value.toString(16)}`;
}
