import type { ExecutionContext } from 'ava';
import { KVClient, KVError, type KVClientOptions, type RetryOptions } from 'quorumkv-client';
import { written, type Scripted, type Step } from './scripted-server.js';

/** Waits so short that no test notices them. */
export const QUICK: RetryOptions = { backoffBaseMs: 1, backoffMaxMs: 5 };

/** For tests with a hung node. Not shorter: a healthy one on a busy machine must not be taken for hung. */
export const IMPATIENT: RetryOptions = { ...QUICK, attemptTimeoutMs: 800 };

/** For tests that make a node wait on purpose. */
export const PATIENT = { retry: { attemptTimeoutMs: 60_000 }, timeoutMs: 60_000 };

/** A client that is closed when the test ends; every call of it is a request of its own, unless a test says otherwise. */
export function clientOf(
  t: ExecutionContext,
  endpoints: string | string[],
  options: Omit<KVClientOptions, 'endpoints'> = {},
): KVClient {
  const client = new KVClient({
    endpoints,
    retry: QUICK,
    timeoutMs: 20_000,
    autoPipeline: false,
    ...options,
  });
  t.teardown(() => client.close());
  return client;
}

/** The `KVError` that the call rejects with. */
export async function errorOf(t: ExecutionContext, call: Promise<unknown>): Promise<KVError> {
  const error = await t.throwsAsync(call);
  if (!(error instanceof KVError)) throw new Error(`rejected with ${String(error)}`, { cause: error });
  return error;
}

/** The `KV-Session` of every write that arrived. */
export const sessions = (node: Scripted) => node.seen.map(({ session }) => session);

/** Steps by the value that is written. */
export const byValue =
  (steps: Readonly<Record<string, Step>>): Step =>
  (response, seen, socket) =>
    (steps[(seen.body as { value: string }).value] ?? written())(response, seen, socket);

/** A step that waits until it is let go. */
export function held(step: Step): { readonly step: Step; readonly release: () => void } {
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  return { step: (...rest) => void released.then(() => step(...rest)), release };
}
