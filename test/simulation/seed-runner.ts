/** Runs seeds in processes of their own, so that every core has one, and a broken product breaks nothing else. */

import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import path from 'node:path';
import type { SeedAnswer, SeedRequest } from './seed-process.js';

/** `dist`, or a copy of it. */
export const COMPILED = path.resolve(import.meta.dirname, '../..');

/**
 * Runs are bounded by their steps; what goes beyond this is within a single step, or its machine stands still: nothing can be said of
 * its seed.
 */
const SEED_MS_MAX = 600_000;

/** `ended`: the process, in the middle of the run. `stuck`: nothing came of it for a very long time. */
export type SeedOutcome =
  | SeedAnswer['result']
  | { readonly type: 'ended'; readonly message: string }
  | { readonly type: 'stuck'; readonly message: string };

export class SeedRunner {
  /** Of its process, as it was told last. */
  cpuMs = 0;
  readonly #child: ChildProcess;

  /** @param compiled the root of the compiled files that it runs */
  constructor(compiled: string, stderr: 'inherit' | 'ignore' = 'inherit') {
    this.#child = fork(path.join(compiled, 'test/simulation/seed-process.js'), {
      execArgv: [],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', stderr, 'ipc'],
    });
  }

  /** One at a time. */
  run(seed: number): Promise<SeedOutcome> {
    const child = this.#child;
    return new Promise((resolve) => {
      const finish = (outcome: SeedOutcome): void => {
        clearTimeout(watchdog);
        child.off('message', onMessage).off('close', onClose).off('error', onError);
        resolve(outcome);
      };
      const onMessage = ({ result, cpuMs }: SeedAnswer): void => {
        this.cpuMs = cpuMs;
        finish(result);
      };
      const onClose = (code: number | null, signal: string | null): void =>
        finish({ type: 'ended', message: `seed ${seed}: the process ended (${String(code ?? signal)})` });
      const onError = (error: Error): void => finish({ type: 'ended', message: error.message });
      const watchdog = setTimeout(
        () => finish({ type: 'stuck', message: `seed ${seed} is at no end after ${SEED_MS_MAX / 1000} s` }),
        SEED_MS_MAX,
      );
      child.once('message', onMessage).once('close', onClose).once('error', onError);
      if (child.connected) child.send({ seed } satisfies SeedRequest);
      else if (child.exitCode !== null || child.signalCode !== null)
        onClose(child.exitCode, child.signalCode);
    });
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}
