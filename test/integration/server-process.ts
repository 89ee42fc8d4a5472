/** One node as a process of its own. */

import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

const SERVER = 'dist/server/main.js';
const LINES_MAX = 500;

export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #ended: Promise<void>;

  constructor(configFile: string, flags: readonly string[] = [], env: Readonly<Record<string, string>> = {}) {
    this.#child = spawn(process.execPath, [SERVER, '--config', configFile, ...flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        this.#lines.push(line);
        if (this.#lines.length > LINES_MAX) this.#lines.shift();
      });
    }
    this.#ended = new Promise((resolve) => {
      // Not 'exit': what it said last shall be read by then.
      this.#child.once('close', () => resolve());
      this.#child.once('error', (error) => {
        this.#lines.push(error.message);
        resolve();
      });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Its newest lines of log. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Resolves once it is gone, with its exit code; null when a signal ended it. */
  async ended(): Promise<number | null> {
    await this.#ended;
    return this.#child.exitCode;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  describe(): string {
    if (this.running) return 'running';
    const { exitCode, signalCode } = this.#child;
    return exitCode === null
      ? `ended by ${signalCode ?? 'nothing known'}`
      : `ended with exit code ${exitCode}`;
  }
}
