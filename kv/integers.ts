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
