/** The options of the client and of its calls; their defaults and checks. */

import { CONSISTENCIES, type Consistency } from '../api/types.js';
import { codecs, type Codec } from './codec.js';
import { invalidArgument } from './errors.js';

/** What the client uses of an `AbortSignal`; those of Node.js and of browsers fit. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** Options of every call. */
export interface CallOptions {
  /** Stops the call: it rejects with an `AbortedError` at once. */
  signal?: AbortSignalLike | undefined;
  /** Milliseconds until the call rejects, all of its attempts included. Default: the client's `timeoutMs`. */
  timeoutMs?: number | undefined;
}

/** Options of a read. */
export interface ReadOptions extends CallOptions {
  /**
   * How fresh the answer must be. `linearizable`: it reflects every write acknowledged before the call. `lease`: the
   * same while clocks behave, without asking a majority. `stale`: what any one node has, at once. Default: the
   * client's `consistency`.
   */
  consistency?: Consistency | undefined;
}

/** Options of `set`. */
export interface SetOptions extends CallOptions {
  /** Milliseconds until the entry expires; a positive integer. Default: never. */
  ttlMs?: number | undefined;
  /** Only when there is no such key; else `ConflictError`. Not together with `ifRevision`. */
  ifAbsent?: boolean | undefined;
  /** Only when the key has this revision now; else `ConflictError`. */
  ifRevision?: string | undefined;
}

/** Options of `delete`. */
export interface DeleteOptions extends CallOptions {
  /** Only when the key has this revision now; else `ConflictError`. */
  ifRevision?: string | undefined;
}

/** Options of `watch`. */
export interface WatchOptions {
  /** Begin with this revision. Default: with whatever changes after the watch began. */
  fromRevision?: string | undefined;
  /** Ends the watch: it rejects with an `AbortedError`. */
  signal?: AbortSignalLike | undefined;
}

/** Options of `lock`. */
export interface LockOptions extends CallOptions {
  /**
   * Milliseconds after which the lock is free again, should its holder vanish; it is kept alive by itself at a third of
   * that. 100 to 2,147,483,647. Default: 10,000.
   */
  ttlMs?: number | undefined;
  /** Milliseconds to wait for a lock that somebody else holds; 0: not at all. Default: the client's `timeoutMs`. */
  waitMs?: number | undefined;
}

/** Options of `list`. Bounds are keys, compared by their bytes in UTF-8. */
export interface ListOptions extends ReadOptions {
  /** Only keys that begin with this. */
  prefix?: string | undefined;
  /** Only keys from this one on (inclusive). */
  start?: string | undefined;
  /** Only keys before this one (exclusive). */
  end?: string | undefined;
  /** At most so many entries in all; a positive integer. Default: no limit. */
  limit?: number | undefined;
  /** From the last key to the first. Default: false. */
  reverse?: boolean | undefined;
  /** Continue where a page of `GET /kv` ended: its `cursor`. */
  cursor?: string | undefined;
}

/** How failed attempts are repeated. Waits are exponential with full jitter, and never shorter than a `Retry-After`. */
export interface RetryOptions {
  /** Attempts of one call at most, the first included. Default: as many as fit into `timeoutMs`. */
  attemptsMax?: number | undefined;
  /** The upper bound of the first wait, in milliseconds; it doubles with each attempt. Default: 25. */
  backoffBaseMs?: number | undefined;
  /** The upper bound of every wait, in milliseconds. Default: 1,000. */
  backoffMaxMs?: number | undefined;
  /** Milliseconds for one attempt, after which another node is asked. Default: 3,000. */
  attemptTimeoutMs?: number | undefined;
}

/** Who the client says it is. */
export interface AuthOptions {
  /**
   * A token of the server's `auth.clients`, sent with every request; a function is asked before each, so that tokens can be exchanged while the
   * client is in use. One that throws makes the call reject with an `UnauthorizedError`.
   */
  token: string | (() => string | Promise<string>);
}

/** What the client believes and shows where nodes speak TLS; everything in PEM. */
export interface TlsOptions {
  /** Who vouches for the nodes. Default: whom Node.js trusts. */
  ca?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined;
  /** A certificate of this client, for proxies that ask for one. Together with `key`. */
  cert?: string | Uint8Array | undefined;
  /** The key of `cert`. */
  key?: string | Uint8Array | undefined;
  /** Of `key`, where it is encrypted. */
  passphrase?: string | undefined;
  /** False: believes any certificate, which protects from listeners but from nobody who answers in a node's place. Default: true. */
  rejectUnauthorized?: boolean | undefined;
}

/** Options of a client. */
export interface KVClientOptions<V = string> {
  /**
   * One or more nodes, as `http://host:port`, `https://host:port` or `host:port` (https where `tls` is given). Any node will do; several survive
   * the loss of one. All of them speak TLS, or none.
   */
  endpoints: string | readonly string[];
  /** Milliseconds for one call, retries included; 1 to 2,147,483,647. Default: 10,000. */
  timeoutMs?: number | undefined;
  /** How failed attempts are repeated. */
  retry?: RetryOptions | undefined;
  /** Credentials. Default: none. */
  auth?: AuthOptions | undefined;
  /** Of `https`. Default: what Node.js trusts. */
  tls?: TlsOptions | undefined;
  /** How values become bytes. Default: `codecs.string`. */
  codec?: Codec<V> | undefined;
  /** The consistency of reads that name none. Default: `linearizable`. */
  consistency?: Consistency | undefined;
  /**
   * Calls that are made while a request is out travel together in the next one, each with its own result. Calls on one
   * key are then carried out in the order in which they were made. Default: true.
   */
  autoPipeline?: boolean | undefined;
}

export interface RetryPolicy {
  readonly attemptsMax: number;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  readonly attemptTimeoutMs: number;
}

export interface Settings<V> {
  readonly endpoints: readonly string[];
  readonly timeoutMs: number;
  readonly retry: RetryPolicy;
  readonly auth: AuthOptions | undefined;
  readonly tls: TlsOptions | undefined;
  readonly codec: Codec<V>;
  readonly consistency: Consistency;
  readonly autoPipeline: boolean;
}

export const DEFAULTS = Object.freeze({
  timeoutMs: 10_000,
  consistency: 'linearizable',
  retry: Object.freeze({
    attemptsMax: Number.MAX_SAFE_INTEGER,
    backoffBaseMs: 25,
    backoffMaxMs: 1_000,
    attemptTimeoutMs: 3_000,
  }),
});

/** The longest delay that a timer of Node.js takes. */
const TIMER_MS_MAX = 2_147_483_647;

const OPTION_NAMES = [
  'endpoints',
  'timeoutMs',
  'retry',
  'auth',
  'tls',
  'codec',
  'consistency',
  'autoPipeline',
];
const TLS_NAMES = ['ca', 'cert', 'key', 'passphrase', 'rejectUnauthorized'];
const RETRY_NAMES = Object.keys(DEFAULTS.retry);

/** Checks the argument of the constructor and fills in the defaults. Throws an `InvalidArgumentError`. */
export function settingsOf<V>(argument: string | readonly string[] | KVClientOptions<V>): Settings<V> {
  const options: KVClientOptions<V> =
    typeof argument === 'string' || isArray(argument) ? { endpoints: argument } : argument;
  refuseUnknown(options, OPTION_NAMES, '');
  const retry = options.retry ?? {};
  refuseUnknown(retry, RETRY_NAMES, 'retry.');
  if (options.codec !== undefined) checkCodec(options.codec);
  return {
    endpoints: endpointsOf(options.endpoints, options.tls === undefined ? 'http' : 'https'),
    auth: authOf(options.auth),
    tls: tlsOf(options.tls),
    timeoutMs: duration('timeoutMs', options.timeoutMs, DEFAULTS.timeoutMs),
    consistency: consistencyOf(options.consistency, 'linearizable'),
    autoPipeline: flag('autoPipeline', options.autoPipeline, true),
    // Without a codec, `V` is its default, string: the type of the option can't say so.
    codec: options.codec ?? (codecs.string as unknown as Codec<V>),
    retry: {
      attemptsMax: count('retry.attemptsMax', retry.attemptsMax) ?? DEFAULTS.retry.attemptsMax,
      backoffBaseMs: duration('retry.backoffBaseMs', retry.backoffBaseMs, DEFAULTS.retry.backoffBaseMs),
      backoffMaxMs: duration('retry.backoffMaxMs', retry.backoffMaxMs, DEFAULTS.retry.backoffMaxMs),
      attemptTimeoutMs: duration(
        'retry.attemptTimeoutMs',
        retry.attemptTimeoutMs,
        DEFAULTS.retry.attemptTimeoutMs,
      ),
    },
  };
}

const CALL_NAMES = ['signal', 'timeoutMs'];

/** The names of the options of each kind of call. */
export const CALL_OPTIONS = Object.freeze({
  plain: CALL_NAMES,
  read: [...CALL_NAMES, 'consistency'],
  set: [...CALL_NAMES, 'ttlMs', 'ifAbsent', 'ifRevision'],
  delete: [...CALL_NAMES, 'ifRevision'],
  atomicSet: ['ttlMs'],
  watch: ['signal', 'fromRevision'],
  lock: [...CALL_NAMES, 'ttlMs', 'waitMs'],
  list: [...CALL_NAMES, 'consistency', 'prefix', 'start', 'end', 'limit', 'reverse', 'cursor'],
});

/** Throws an `InvalidArgumentError` for options that this kind of call does not have, or a signal that is none. */
export function checkOptions(kind: keyof typeof CALL_OPTIONS, options: object): void {
  refuseUnknown(options, CALL_OPTIONS[kind], '');
  const signal: unknown = 'signal' in options ? options.signal : undefined;
  if (signal === undefined) return;
  if (typeof signal !== 'object' || signal === null || !('addEventListener' in signal)) {
    throw invalidArgument('signal', 'signal must be an AbortSignal');
  }
}

/** A duration that a timer can take. */
export function duration(name: string, value: unknown, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && value >= 1 && value <= TIMER_MS_MAX) return value;
  throw invalidArgument(name, `${name} must be a number of milliseconds from 1 to ${TIMER_MS_MAX}`);
}

/** A flag, or what it is when none is given. */
function flag(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value === 'boolean') return value;
  throw invalidArgument(name, `${name} must be true or false`);
}

/** A positive integer, when one is given. */
export function count(name: string, value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
  throw invalidArgument(name, `${name} must be a positive integer`);
}

/** The consistency that a call named, or the client's. */
export function consistencyOf(value: unknown, fallback: Consistency): Consistency {
  if (value === undefined) return fallback;
  const known = CONSISTENCIES.find((name) => name === value);
  if (known !== undefined) return known;
  throw invalidArgument('consistency', `consistency must be one of ${CONSISTENCIES.join(', ')}`);
}

/** The origin of `http://host:port`, `https://host:port` or `host:port`, which is one of `scheme`; undefined when it is none of them. */
export function originOf(address: string, scheme: 'http' | 'https'): string | undefined {
  const text = address.includes('://') ? address : `${scheme}://${address}`;
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const bare =
    url.pathname === '/' &&
    url.search === '' &&
    url.hash === '' &&
    url.username === '' &&
    url.password === '';
  return /^https?:$/.test(url.protocol) && bare ? url.origin : undefined;
}

/** What speaks to these endpoints. */
export function schemeOf(endpoints: readonly string[]): 'http' | 'https' {
  return endpoints[0]?.startsWith('https:') === true ? 'https' : 'http';
}

/** RFC 6750 §2.1, and short enough for a header. */
const TOKEN = /^[A-Za-z0-9._~+/-]{1,4096}=*$/;

export function checkToken(token: unknown): string {
  if (typeof token === 'string' && TOKEN.test(token)) return token;
  throw invalidArgument('auth.token', 'auth.token must be of letters, digits and ._~+/- (RFC 6750)');
}

function authOf(auth: unknown): AuthOptions | undefined {
  if (auth === undefined) return undefined;
  refuseUnknown(auth, ['token'], 'auth.');
  const { token } = auth as Partial<Record<keyof AuthOptions, unknown>>;
  if (isFunction(token)) return { token };
  return { token: checkToken(token) };
}

function isFunction(value: unknown): value is () => string | Promise<string> {
  return typeof value === 'function';
}

function tlsOf(tls: TlsOptions | undefined): TlsOptions | undefined {
  if (tls === undefined) return undefined;
  refuseUnknown(tls, TLS_NAMES, 'tls.');
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    const name = tls.cert === undefined ? 'tls.key' : 'tls.cert';
    throw invalidArgument(name, `${name} goes with the other of tls.cert and tls.key; give both, or none`);
  }
  return { ...tls };
}

function endpointsOf(value: unknown, scheme: 'http' | 'https'): readonly string[] {
  const list: readonly unknown[] = isArray(value) ? value : [value];
  if (list.length === 0) throw invalidArgument('endpoints', 'endpoints must name at least one node');
  const origins = list.map((endpoint) => {
    const origin = typeof endpoint === 'string' ? originOf(endpoint, scheme) : undefined;
    if (origin !== undefined) return origin;
    throw invalidArgument(
      'endpoints',
      `endpoint ${JSON.stringify(endpoint)} must be of the form http://host:port, https://host:port or host:port`,
    );
  });
  if (new Set(origins.map((origin) => origin.split(':', 1)[0])).size > 1)
    throw invalidArgument(
      'endpoints',
      'endpoints must all be http, or all https: credentials would else be sent openly',
    );
  return [...new Set(origins)];
}

function checkCodec(codec: { readonly encode: unknown; readonly decode: unknown }): void {
  if (typeof codec.encode !== 'function' || typeof codec.decode !== 'function') {
    throw invalidArgument(
      'codec',
      'codec must have the functions encode and decode; codecs.json is one to call first',
    );
  }
}

// Plain JavaScript has no compiler to catch a mistyped option, which would else be ignored in silence.
export function refuseUnknown(options: unknown, known: readonly string[], path: string): void {
  if (typeof options !== 'object' || options === null) {
    throw invalidArgument('options', `the options must be an object of ${known.join(', ')}`);
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const name = path + unknown;
    throw invalidArgument(
      name,
      `there is no option ${name}; the options are ${known.map((k) => path + k).join(', ')}`,
    );
  }
}

// Array.isArray narrows a readonly array to any[].
function isArray(value: unknown): value is readonly string[] {
  return Array.isArray(value);
}
