/** A token bucket: so many bytes per second, on average, with bursts of at most `burstBytes`. The clock is handed in. */

export interface Throttle {
  /** True, and they are taken, when any are left; so a chunk larger than the bucket goes, too, and is paid for afterwards. */
  take(bytes: number, nowMs: number): boolean;
}

export function tokenBucket(bytesPerSecond: number, burstBytes: number, startMs: number): Throttle {
  let tokens = burstBytes;
  let filledMs = startMs;
  return {
    take(bytes, nowMs) {
      const elapsedMs = Math.max(0, nowMs - filledMs);
      tokens = Math.min(burstBytes, tokens + (elapsedMs * bytesPerSecond) / 1000);
      filledMs = Math.max(filledMs, nowMs);
      if (tokens <= 0) return false;
      tokens -= bytes;
      return true;
    },
  };
}
