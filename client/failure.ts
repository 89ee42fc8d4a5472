/** What one attempt came to: an answer, or a failure with everything that the decision to repeat it needs. */

import type { IncomingHttpHeaders } from 'node:http';
import { isErrorCode, ERRORS, type Outcome } from '../api/errors.js';
import { HEADERS } from '../api/types.js';
import type { KVErrorCode } from './errors.js';
import { isRecord } from './json.js';
import type { Exchange } from './transport.js';

export interface Failure {
  readonly code: KVErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  /** What this attempt may have done to the store. */
  readonly outcome: Outcome;
  readonly requestId?: string | undefined;
  readonly field?: string | undefined;
  readonly currentRevision?: string | null | undefined;
  readonly oldestRevision?: string | undefined;
  readonly cause?: unknown;
  /** The server asked not to be bothered for so long. */
  readonly retryAfterMs?: number | undefined;
  /** The node gave no answer, or is going away: the next attempt belongs to another one. */
  readonly nodeFailed: boolean;
  /** The node sent us to the leader (307). */
  readonly redirected?: boolean;
}

export type Answer =
  | { readonly kind: 'ok'; readonly body: Record<string, unknown>; readonly bytes: number }
  /** 404 `key-not-found`: no error to the one who asks. */
  | { readonly kind: 'missing' }
  /** 409 `check-failed`: the result of a transaction. */
  | { readonly kind: 'check-failed'; readonly failed: readonly string[] };

/** What the node said of its cluster beside that. */
interface Aside {
  /** `host:port`. */
  readonly leader: string | undefined;
  /** `KV-Members`. */
  readonly membersIndex: number | undefined;
}

const SILENCE: Aside = { leader: undefined, membersIndex: undefined };

export type Result = Aside & ({ readonly answer: Answer } | { readonly failure: Failure });

type Answered = Extract<Exchange, { kind: 'answered' }>;
type Failed = Extract<Exchange, { kind: 'failed' }>;

export interface Expected {
  /** A read changes nothing, so its outcome is never in doubt. */
  readonly isWrite: boolean;
  /** Of success. */
  readonly statuses: readonly number[];
}

/** Reads an exchange with `origin`. */
export function interpret(origin: string, expected: Expected, exchange: Exchange): Result {
  const doubt: Outcome = expected.isWrite ? 'unknown' : 'not-applied';
  if (exchange.kind === 'failed') {
    return { failure: connectionFailure(origin, doubt, exchange), ...SILENCE };
  }
  if (exchange.kind === 'tokenless') return { failure: tokenless(exchange.cause), ...SILENCE };
  const { status, headers } = exchange;
  const body = parse(exchange.body);
  const aside = {
    leader: leaderOf(headers[HEADERS.leader.toLowerCase()], body),
    membersIndex: membersIndexOf(headers),
  };
  if (expected.statuses.includes(status) && body !== undefined) {
    return { answer: { kind: 'ok', body, bytes: exchange.body.length }, ...aside };
  }
  const answer = answerOfProblem(status, body);
  if (answer !== undefined) return { answer, ...aside };
  if (status === 307) return redirection(origin, exchange, body, aside);
  return { failure: refusal(origin, doubt, exchange, body), ...aside };
}

/** The index in `KV-Members`; undefined when there is none. */
export function membersIndexOf(headers: IncomingHttpHeaders): number | undefined {
  const header = headers[HEADERS.members.toLowerCase()];
  return typeof header === 'string' && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}

/** Reads one of the results of a pipeline. */
export function interpretResult(
  origin: string,
  isWrite: boolean,
  item: unknown,
): { readonly answer: Answer } | { readonly failure: Failure } {
  const { status, result, error }: Record<string, unknown> = isRecord(item) ? item : {};
  if (status === 200 && isRecord(result)) return { answer: { kind: 'ok', body: result, bytes: 0 } };
  if (typeof status !== 'number' || !isRecord(error)) {
    return { failure: badResponse(isWrite, `${origin} left out a result of a pipeline`) };
  }
  const answer = answerOfProblem(status, error);
  if (answer !== undefined) return { answer };
  return { failure: refusal(origin, isWrite ? 'unknown' : 'not-applied', { status, headers: {} }, error) };
}

/** A problem that is no error to the one who asks. */
function answerOfProblem(status: number, body: Record<string, unknown> | undefined): Answer | undefined {
  if (status === 404 && body?.['code'] === 'key-not-found') return { kind: 'missing' };
  if (status !== 409 || body?.['code'] !== 'check-failed' || !Array.isArray(body['failed'])) return undefined;
  return { kind: 'check-failed', failed: body['failed'].map(String) };
}

/** A failure of an answer that has the right status and the wrong content. */
export function badResponse(isWrite: boolean, message: string, cause?: unknown): Failure {
  const outcome = isWrite ? 'unknown' : 'not-applied';
  return { code: 'bad-response', message, retryable: false, outcome, nodeFailed: false, cause };
}

/** The time of a call is up, or it was stopped; `origin`: where it was sent in the company of others. */
export function overdue(isWrite: boolean, origin: string | undefined, ms: number): Failure {
  const what = origin === undefined ? 'it could not be sent' : `no answer from ${origin}`;
  return {
    code: 'timeout',
    message: `${what} within ${Math.round(ms)} ms`,
    retryable: true,
    outcome: isWrite && origin !== undefined ? 'unknown' : 'not-applied',
    // The company it was in decides whether the node is at fault.
    nodeFailed: false,
  };
}

function connectionFailure(origin: string, doubt: Outcome, exchange: Failed): Failure {
  const { sent, timedOutMs, cause } = exchange;
  const doing = sent ? 'no answer from' : 'cannot connect to';
  const why = timedOutMs === undefined ? reasonOf(cause) : `nothing within ${Math.round(timedOutMs)} ms`;
  return {
    code: timedOutMs === undefined ? 'unavailable' : 'timeout',
    message: `${doing} ${origin}: ${why}`,
    retryable: true,
    outcome: sent ? doubt : 'not-applied',
    nodeFailed: true,
    cause: timedOutMs === undefined ? cause : undefined,
  };
}

/** Nothing was sent. */
function tokenless(cause: unknown): Failure {
  return {
    code: 'unauthenticated',
    message: `auth.token failed: ${reasonOf(cause)}`,
    retryable: false,
    outcome: 'not-applied',
    nodeFailed: false,
    cause,
  };
}

function redirection(
  origin: string,
  { headers }: Answered,
  body: Record<string, unknown> | undefined,
  aside: Aside,
): Result {
  const target =
    headers.location !== undefined && URL.canParse(headers.location) ? new URL(headers.location).host : '';
  const named = target !== '' ? target : body?.['leaderAddr'];
  return {
    failure: {
      code: 'no-leader',
      message: `${origin} does not lead and sent the request on to ${typeof named === 'string' ? named : 'nobody'}`,
      retryable: true,
      outcome: 'not-applied',
      nodeFailed: false,
      redirected: true,
    },
    ...aside,
    ...(typeof named === 'string' && { leader: named }),
  };
}

function refusal(
  origin: string,
  doubt: Outcome,
  { status, headers }: Pick<Answered, 'status' | 'headers'>,
  body: Record<string, unknown> | undefined,
): Failure {
  const said = body?.['code'];
  const code = typeof said === 'string' && isErrorCode(said) ? said : codeOfStatus(status);
  const kind = isErrorCode(code) ? ERRORS[code] : undefined;
  const detail = text(body?.['detail']) ?? kind?.title ?? 'the answer is not one of a quorumkv node';
  const retryable = body?.['retryable'];
  const currentRevision = body?.['currentRevision'];
  return {
    code,
    message: `${detail} (${code}, ${status} from ${origin})`,
    retryable: typeof retryable === 'boolean' ? retryable : (kind?.retryable ?? status >= 500),
    outcome: outcomeOf(body) ?? doubt,
    requestId: text(body?.['requestId']) ?? text(headers[HEADERS.requestId.toLowerCase()]),
    field: text(body?.['field']),
    currentRevision: currentRevision === null ? null : text(currentRevision),
    oldestRevision: text(body?.['oldestRevision']),
    retryAfterMs: retryAfterOf(headers['retry-after']),
    nodeFailed: code === 'shutting-down' || code === 'unavailable',
  };
}

/** What a problem of this protocol vouches for; a proxy's error page vouches for nothing. */
function outcomeOf(body: Record<string, unknown> | undefined): Outcome | undefined {
  // On the wire this is in doubt, since the server knows of no earlier attempts. The one it answers was not applied.
  if (body?.['code'] === 'session-expired') return 'not-applied';
  return body?.['outcome'] === 'not-applied' ? 'not-applied' : undefined;
}

/** The code of an answer that is no problem of ours: of a proxy, or of the HTTP server's own parser. */
function codeOfStatus(status: number): KVErrorCode {
  if (status === 413) return 'too-large';
  if (status === 431) return 'headers-too-large';
  if (status === 429) return 'rate-limited';
  return status >= 500 ? 'unavailable' : 'bad-response';
}

/** Seconds, or a date (RFC 9110 §10.2.3). */
function retryAfterOf(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,6}$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

/** The leader's `host:port`: of the header `KV-Leader: <id> <host:port>`, else of the problem. */
function leaderOf(
  header: string | string[] | undefined,
  body: Record<string, unknown> | undefined,
): string | undefined {
  if (typeof header === 'string') return /\S+$/.exec(header)?.[0];
  const leader = body?.['leader'];
  return isRecord(leader) ? text(leader['http']) : undefined;
}

function parse(body: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(
      Buffer.from(body.buffer, body.byteOffset, body.length).toString('utf8'),
    );
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** One line. An attempt on several addresses of a name fails with an AggregateError, which says nothing itself. */
function reasonOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join(', ');
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
