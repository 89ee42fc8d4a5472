/** A node in a process that outlives its stops (`host.ts`), as seen from outside. */

import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { HostOrder, HostWord } from './host.js';

export type Ending = HostWord & { readonly is: 'refused' | 'ended' };

export class HostedNode {
  readonly #configFile: string;
  #child: ChildProcess | undefined;
  #lines: string[] = [];
  #ending: Ending | undefined;
  #state: 'down' | 'starting' | 'up' | 'stopping' = 'down';

  constructor(configFile: string) {
    this.#configFile = configFile;
  }

  /** What it logged since it was started last. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Why it does not run, where nobody stopped it. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  get isDown(): boolean {
    return this.#state === 'down';
  }

  start(): void {
    this.#lines = [];
    this.#ending = undefined;
    this.#state = 'starting';
    this.#child ??= this.#fork();
    this.#order({ do: 'start', configFile: this.#configFile });
  }

  /** In order, as by SIGTERM. To be waited for by `isDown`. */
  stop(): void {
    this.#state = 'stopping';
    this.#order({ do: 'stop' });
  }

  /** As by `kill -9`. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    this.#state = 'down';
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.removeAllListeners();
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  #order(order: HostOrder): void {
    this.#child?.send(order);
  }

  #fork(): ChildProcess {
    const child = fork(path.join(import.meta.dirname, 'host.js'), {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    child.on('message', (word: HostWord) => this.#hear(word));
    child.on('exit', (code, signal) => {
      this.#child = undefined;
      this.#state = 'down';
      const message = `the process ended with ${signal ?? `exit code ${code}`}`;
      this.#ending ??= { is: 'ended', fault: 'crash', message };
    });
    return child;
  }

  #hear(word: HostWord): void {
    switch (word.is) {
      case 'log':
        this.#lines.push(word.line);
        return;
      case 'started':
        this.#state = 'up';
        return;
      case 'stopped':
        this.#state = 'down';
        return;
      case 'refused':
        this.#state = 'down';
        this.#ending = word;
        return;
      case 'ended':
        // Down once the process is.
        this.#ending = word;
        return;
    }
  }
}
