/** What happened in a run: counted, digested, and its end kept for people to read. */

/** Lines kept for the report of a failure. */
const LINES_MAX = 4000;

export class Journal {
  readonly faults = new Map<string, number>();
  /** Of every line so far: equal runs have equal digests. */
  digest = 0x811c9dc5;
  readonly #now: () => number;
  readonly #lines: string[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  note(line: string): void {
    const text = `${this.#now().toFixed(3).padStart(12)}  ${line}`;
    for (let at = 0; at < text.length; at += 1) {
      this.digest = Math.imul(this.digest ^ text.charCodeAt(at), 0x01000193) >>> 0;
    }
    this.#lines.push(text);
    if (this.#lines.length > 2 * LINES_MAX) this.#lines.splice(0, LINES_MAX);
  }

  fault(kind: string, detail: string): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
    this.note(`*** ${kind}: ${detail}`);
  }

  lines(): readonly string[] {
    return this.#lines.slice(-LINES_MAX);
  }
}
