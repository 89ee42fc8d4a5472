/**
 * A failure that is an answer: a missing key, a refused condition, no leader. Thousands come in a second, and nobody reads
 * where they were thrown; to capture that was measured as 5 % of the time of a node that answers misses.
 */
export class ExpectedError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message, options);
    Error.stackTraceLimit = stackTraceLimit;
  }
}
