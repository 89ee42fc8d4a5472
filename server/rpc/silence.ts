/**
 * Notices that the other side of a connection has gone without a word (a cut cable, a partition). TCP alone would go on
 * repeating itself for many minutes, at ever longer intervals, even after the way is free again.
 */

export interface SilenceWatch {
  /** Something came from the other side. */
  heard(): void;
  stop(): void;
}

/** After a third of `silenceMs` without a byte, `ping` is called, and again after two; after the whole of it, `onSilent`, once. */
export function watchSilence(silenceMs: number, ping: () => void, onSilent: () => void): SilenceWatch {
  let heardMs = performance.now();
  const quietMs = (): number => performance.now() - heardMs;

  const timer = setInterval(() => {
    if (quietMs() < silenceMs) {
      if (quietMs() > silenceMs / 4) ping();
      return;
    }
    // It may be this process that was stalled: what has arrived meanwhile is read before the second look.
    setImmediate(() => {
      if (quietMs() < silenceMs) return;
      clearInterval(timer);
      onSilent();
    });
  }, silenceMs / 3);
  timer.unref();

  return {
    heard: () => {
      heardMs = performance.now();
    },
    stop: () => clearInterval(timer),
  };
}
