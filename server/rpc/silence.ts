/**
 * Notices that the other side of a connection has gone without a word (a cut cable, a partition). TCP alone would go on
 * repeating itself for many minutes, at ever longer intervals, even after the way is free again.
 */

export interface SilenceWatch {
  /** Something came from the other side. */
  heard(): void;
  stop(): void;
}

/** Looks in one silence. */
const LOOKS = 3;

/**
 * Looks three times in `silenceMs`: calls `ping` when nothing was heard since the look before, and `onSilent`, once, at the
 * third such look in a row. Looks are counted rather than time: after a stall of this process there is one late look, not
 * three, so that what has arrived meanwhile is read, and a ping answered, before the other side is given up.
 */
export function watchSilence(silenceMs: number, ping: () => void, onSilent: () => void): SilenceWatch {
  let quietLooks = 0;
  const timer = setInterval(() => {
    quietLooks += 1;
    if (quietLooks < LOOKS) {
      if (quietLooks > 0) ping();
      return;
    }
    clearInterval(timer);
    onSilent();
  }, silenceMs / LOOKS);
  timer.unref();

  return {
    heard: () => {
      // The look that follows finds that something was heard since the one before.
      quietLooks = -1;
    },
    stop: () => clearInterval(timer),
  };
}
