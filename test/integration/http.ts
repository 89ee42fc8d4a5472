/** A plain HTTP client of one node, which tells what happened to a request and never tries again. */

import { request, Agent } from 'node:http';
import type { Action, Outcome } from '../linearizability/history.js';

export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly tookMs: number;
}

/** No answer: the connection was refused (nothing was sent), or broke, or took too long. */
export class NoAnswer extends Error {
  readonly sent: boolean;

  constructor(sent: boolean, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.sent = sent;
  }
}

/** Longer than a node may take for any request. */
const TIMEOUT_MS = 8_000;

export class HttpClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 256 });

  /** Rejects with {@link NoAnswer} only. */
  call(
    base: string,
    method: string,
    path: string,
    body?: unknown,
    timeoutMs: number = TIMEOUT_MS,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const startMs = performance.now();
    return new Promise((resolve, reject) => {
      const outgoing = request(`${base}${path}`, {
        method,
        agent: this.#agent,
        headers: { ...headers, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
      });
      const timer = setTimeout(() => outgoing.destroy(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
      const fail = (error: NodeJS.ErrnoException): void => {
        clearTimeout(timer);
        reject(new NoAnswer(error.code !== 'ECONNREFUSED', error));
      };
      outgoing.once('error', fail);
      outgoing.once('response', (incoming) => {
        let text = '';
        incoming.setEncoding('utf8');
        incoming.on('data', (chunk: string) => (text += chunk));
        incoming.once('error', fail);
        incoming.once('end', () => {
          clearTimeout(timer);
          try {
            const parsed = parse(text);
            resolve({ status: incoming.statusCode ?? 0, body: parsed, tookMs: performance.now() - startMs });
          } catch (error) {
            reject(new NoAnswer(true, error));
          }
        });
      });
      outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  get(base: string, key: string, consistency = 'linearizable'): Promise<Answer> {
    return this.call(base, 'GET', `/get?key=${encodeURIComponent(key)}&consistency=${consistency}`);
  }

  set(base: string, key: string, value: string): Promise<Answer> {
    return this.call(base, 'POST', '/set', { key, value });
  }

  /** Carries an operation of a history out; the outcome is what a client may conclude. */
  async perform(base: string, key: string, action: Action): Promise<Outcome> {
    try {
      return outcomeOf(action, await this.#send(base, key, action));
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      return { type: error.sent ? 'unknown' : 'not-applied' };
    }
  }

  #send(base: string, key: string, action: Action): Promise<Answer> {
    if (action.type === 'get') return this.get(base, key);
    const { condition } = action;
    const revision = condition?.type === 'revision' ? String(condition.revision) : undefined;
    if (action.type === 'delete') {
      const query = revision === undefined ? '' : `&ifRevision=${revision}`;
      return this.call(base, 'DELETE', `/delete?key=${encodeURIComponent(key)}${query}`);
    }
    const absent = condition?.type === 'absent' ? { ifAbsent: true } : {};
    const conditions = revision === undefined ? absent : { ifRevision: revision };
    return this.call(base, 'POST', '/set', { key, value: action.value, ...conditions });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function outcomeOf(action: Action, { status, body }: Answer): Outcome {
  if (status === 200) {
    const revision = revisionOf(body['revision']);
    if (action.type === 'set') return { type: 'written', revision };
    if (action.type === 'delete') {
      return body['deleted'] === true ? { type: 'deleted', revision } : { type: 'not-found' };
    }
    if (typeof body['value'] !== 'string') throw new Error(`a get without a value: ${JSON.stringify(body)}`);
    return { type: 'value', value: body['value'], revision };
  }
  if (body['code'] === 'key-not-found' && action.type === 'get') return { type: 'missing' };
  if (body['code'] === 'revision-mismatch') {
    const current = body['currentRevision'];
    if (current === undefined) return { type: 'mismatch' };
    return { type: 'mismatch', currentRevision: current === null ? null : revisionOf(current) };
  }
  const outcome = body['outcome'];
  if (outcome === 'not-applied' || outcome === 'unknown') return { type: outcome };
  throw new Error(`${status} without an outcome: ${JSON.stringify(body)}`);
}

function revisionOf(text: unknown): number {
  if (typeof text === 'string' && /^[1-9]\d{0,15}$/.test(text)) return Number(text);
  throw new Error(`not a revision: ${JSON.stringify(text)}`);
}

function parse(text: string): Readonly<Record<string, unknown>> {
  if (text === '') return {};
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) throw new Error(`not a JSON object: ${text}`);
  return Object.fromEntries(Object.entries(value));
}
