/** An Ethernet address: six bytes in the order in which they are sent and written down. */
export type MacAddress = Uint8Array;

export const MAC_ADDRESS_BYTES = 6;

/**
 * Reads six hexadecimal bytes separated by colons or dashes ("02:00:00:00:00:0a", single digits allowed) or Cisco's three groups
 * of four digits ("0200.0000.000a").
 *
 * @returns undefined for anything else
 */
export function parseMacAddress(text: string): MacAddress | undefined {
  const groups = /^[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}$/i.test(text)
    ? text.replaceAll('.', '').match(/../g)!
    : text.split(text.includes('-') ? '-' : ':');
  if (groups.length !== MAC_ADDRESS_BYTES || !groups.every((group) => /^[0-9a-f]{1,2}$/i.test(group))) return undefined;
  return Uint8Array.from(groups, (group) => Number.parseInt(group, 16));
}

/** "02:00:00:00:00:0a": the address that lies at `offset`. */
export function formatMacAddress(bytes: Uint8Array, offset = 0): string {
  let text = '';
  for (let i = 0; i < MAC_ADDRESS_BYTES; i++) {
    text += (i === 0 ? '' : ':') + bytes[offset + i]!.toString(16).padStart(2, '0');
  }
  return text;
}

export function writeMacAddress(bytes: Uint8Array, offset: number, address: MacAddress): void {
  for (let i = 0; i < MAC_ADDRESS_BYTES; i++) bytes[offset + i] = address[i]!;
}
