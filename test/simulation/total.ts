/** What many runs come to. */

import type { RunReport } from './run.js';

export class Total {
  #seeds = 0;
  #steps = 0;
  #simulatedMs = 0;
  #operations = 0;
  #acknowledged = 0;
  readonly #faults = new Map<string, number>();

  add(run: RunReport): void {
    this.#seeds += 1;
    this.#steps += run.steps;
    this.#simulatedMs += run.simulatedMs;
    this.#operations += run.operations;
    this.#acknowledged += run.acknowledged;
    for (const [kind, count] of run.faults) this.#faults.set(kind, (this.#faults.get(kind) ?? 0) + count);
  }

  headline(): string {
    return `${this.#seeds} seeds, ${this.#steps} steps, ${minutes(this.#simulatedMs)} simulated`;
  }

  report({ tookMs, cpuMs }: { readonly tookMs: number; readonly cpuMs: number }): string {
    const kinds = [...this.#faults].sort(([a], [b]) => (a < b ? -1 : 1));
    return [
      `${this.headline()} in ${(tookMs / 1000).toFixed(1)} s, ${minutes(cpuMs)} of CPU`,
      `${this.#operations} operations, ${this.#acknowledged} with a definite answer; every history linearizable`,
      ...kinds.map(([kind, count]) => `  ${kind.padEnd(20)} ${count}`),
    ].join('\n');
  }
}

export function minutes(ms: number): string {
  return `${(ms / 60_000).toFixed(1)} minutes`;
}
