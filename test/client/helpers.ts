import type { ExecutionContext } from 'ava';
import { KVClient, KVError, type KVClientOptions, type RetryOptions } from 'quorumkv-client';

/** Waits so short that no test notices them. */
export const QUICK: RetryOptions = { backoffBaseMs: 1, backoffMaxMs: 5 };

/** For tests with a hung node. Not shorter: a healthy one on a busy machine must not be taken for hung. */
export const IMPATIENT: RetryOptions = { ...QUICK, attemptTimeoutMs: 800 };

/** A client that is closed when the test ends. */
export function clientOf(
  t: ExecutionContext,
  endpoints: string | string[],
  options: Omit<KVClientOptions, 'endpoints'> = {},
): KVClient {
  const client = new KVClient({ endpoints, retry: QUICK, timeoutMs: 20_000, ...options });
  t.teardown(() => client.close());
  return client;
}

/** The `KVError` that the call rejects with. */
export async function errorOf(t: ExecutionContext, call: Promise<unknown>): Promise<KVError> {
  const error = await t.throwsAsync(call);
  if (!(error instanceof KVError)) throw new Error(`rejected with ${String(error)}`, { cause: error });
  return error;
}
