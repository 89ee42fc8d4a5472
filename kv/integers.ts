/** Integers of eight bytes, big-endian, without the detour by bigint: several of them are in every row. */

export const INTEGER_BYTES = 8;

const HIGH = 2 ** 32;

/** Writes `value`, 0 to 2^53 - 1; the position behind it. */
export function writeInteger(out: Buffer, value: number, at: number): number {
  return out.writeUInt32BE(value % HIGH, out.writeUInt32BE(Math.floor(value / HIGH), at));
}

/** What `writeInteger` wrote. Beyond 2^53 it is not exact, and no safe integer. */
export function readInteger(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * HIGH + bytes.readUInt32BE(at + 4);
}

/** The same bytes as text of one character each. */
export function integerText(value: number): string {
  const high = Math.floor(value / HIGH);
  const low = value % HIGH;
  return String.fromCharCode(
    high >>> 24,
    (high >>> 16) & 0xff,
    (high >>> 8) & 0xff,
    high & 0xff,
    low >>> 24,
    (low >>> 16) & 0xff,
    (low >>> 8) & 0xff,
    low & 0xff,
  );
}

/** What `integerText` gave, from `at` on. */
export function integerIn(text: string, at: number): number {
  let value = 0;
  for (let i = at; i < at + INTEGER_BYTES; i += 1) value = value * 256 + text.charCodeAt(i);
  return value;
}
