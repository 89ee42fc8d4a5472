/** Lines of a stream of bytes, in constant memory. */

/** A line may be this long: enough for the largest value, escaped; a file without line ends must not fill the memory. */
export const LINE_BYTES_MAX = 64 << 20;

const LF = 0x0a;

export interface Line {
  /** From 1. */
  readonly number: number;
  readonly bytes: Uint8Array;
}

/**
 * Splits at line feeds alone. node:readline would also split at U+2028 and U+2029, which JSON leaves unescaped in
 * strings, and it would turn bytes that are not UTF-8 into U+FFFD without a word.
 */
export async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Line, void, undefined> {
  let number = 1;
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      pending.push(chunk.subarray(start, end));
      yield { number, bytes: Buffer.concat(pending) };
      number += 1;
      pending = [];
      pendingBytes = 0;
      start = end + 1;
    }
    if (start === chunk.length) continue;
    pending.push(chunk.subarray(start));
    pendingBytes += chunk.length - start;
    if (pendingBytes > LINE_BYTES_MAX) throw new LineTooLongError(number);
  }
  if (pendingBytes > 0) yield { number, bytes: Buffer.concat(pending) };
}

export class LineTooLongError extends Error {
  readonly line: number;

  constructor(line: number) {
    super(`the line is longer than ${LINE_BYTES_MAX} bytes`);
    this.line = line;
  }
}
