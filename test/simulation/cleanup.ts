/** What must not outlive this process, when it is told to end. */

const cleanups = new Set<() => void>();
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

function onSignal(signal: keyof typeof SIGNALS): void {
  for (const cleanup of cleanups) cleanup();
  process.exit(SIGNALS[signal]);
}

/** Calls `cleanup` when the process is told to end before `task` is over. */
export async function guarded<T>(cleanup: () => void, task: () => Promise<T>): Promise<T> {
  const signals = Object.keys(SIGNALS) as (keyof typeof SIGNALS)[];
  if (cleanups.size === 0) for (const signal of signals) process.on(signal, onSignal);
  cleanups.add(cleanup);
  try {
    return await task();
  } finally {
    cleanups.delete(cleanup);
    if (cleanups.size === 0) for (const signal of signals) process.off(signal, onSignal);
  }
}
