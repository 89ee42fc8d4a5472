/** The beginning of a value, for `StateStore.getHeads`: a copy where it is cut, so that it holds no more in memory than it shows. */
export function headOf<T extends Buffer | undefined>(value: T, bytesMax: number): T | Buffer {
  return value === undefined || value.length <= bytesMax ? value : Buffer.from(value.subarray(0, bytesMax));
}
