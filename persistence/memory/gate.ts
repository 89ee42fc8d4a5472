/** Counts what is in flight in a memory store, so that `close` can wait for it. */

export interface Gate {
  /** Defers a task. @throws Error once the store is closed. */
  run(task: () => void): void;
  /** Resolves after the tasks in flight; there are no new ones. */
  close(): Promise<void>;
}

/** @param what names the store in errors. */
export function inFlightGate(what: string, defer: (task: () => void) => void): Gate {
  let inFlight = 0;
  let closing: Promise<void> | undefined;
  let idle: (() => void) | undefined;
  return {
    run(task) {
      if (closing !== undefined) throw new Error(`the ${what} store is closed`);
      inFlight += 1;
      defer(() => {
        inFlight -= 1;
        task();
        if (inFlight === 0) idle?.();
      });
    },
    close() {
      closing ??= new Promise((resolve) => {
        if (inFlight === 0) resolve();
        else idle = resolve;
      });
      return closing;
    },
  };
}
