/** Real HTTP servers that answer what a test tells them to, in place of nodes. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { ExecutionContext } from 'ava';
import { ERRORS, type ErrorCode, type Outcome } from '../../api/errors.js';
import { PATHS } from '../../api/paths.js';

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** `KV-Session`. */
  readonly session: string | undefined;
  /** `Last-Event-ID`. */
  readonly lastEventId: string | undefined;
  readonly body: unknown;
  readonly at: number;
}

export type Step = (response: ServerResponse, seen: Seen, socket: Socket) => void;

export interface Scripted {
  readonly address: string;
  readonly origin: string;
  /** Every request but those for a session, in order of arrival. */
  readonly seen: Seen[];
  /** Every `POST /sessions`. */
  readonly openings: Seen[];
  /** Connections accepted. */
  readonly connections: () => number;
  /** Steps for the next requests, one each; the last one stays for all that follow. */
  script(...steps: Step[]): void;
  /** The same for `POST /sessions`, which is granted where nothing else is said. */
  scriptSessions(...steps: Step[]): void;
  /** Resolves once so many requests have arrived. */
  arrived(count: number, kind?: 'seen' | 'openings'): Promise<void>;
  /** Refuses connections from now on, and breaks those that are there. */
  stop(): Promise<void>;
}

/** A server on a port of the kernel's choice; gone when the test ends. */
export async function scripted(t: ExecutionContext, ...steps: Step[]): Promise<Scripted> {
  const arrivals = { seen: [] as Seen[], openings: [] as Seen[] };
  const scripts = { seen: steps, openings: [] as Step[] };
  const waiters = new Set<() => void>();
  let connections = 0;
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const url = new URL(request.url ?? '/', 'http://x');
      const entry = {
        method: request.method ?? '',
        path: url.pathname,
        query: url.searchParams,
        session: request.headers['kv-session'] as string | undefined,
        lastEventId: request.headers['last-event-id'] as string | undefined,
        body,
        at: Date.now(),
      };
      const kind = entry.path === PATHS.sessions ? 'openings' : 'seen';
      arrivals[kind].push(entry);
      const script = scripts[kind];
      const step = script.length > 1 ? script.shift() : script[0];
      for (const waiter of waiters) waiter();
      if (step === undefined) throw new Error('the script is empty');
      step(response, entry, request.socket);
    });
  });
  server.on('connection', () => (connections += 1));
  const port = await listen(server);
  // As a leader does: so the client stays with the node that it began with.
  scripts.openings = [granted(undefined, { leader: `127.0.0.1:${port}` })];
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  t.teardown(stop);
  return {
    address: `127.0.0.1:${port}`,
    origin: `http://127.0.0.1:${port}`,
    ...arrivals,
    connections: () => connections,
    script: (...next) => {
      scripts.seen = next;
    },
    scriptSessions: (...next) => {
      scripts.openings = next;
    },
    arrived: (count, kind = 'seen') =>
      new Promise((resolve) => {
        const check = () => {
          if (arrivals[kind].length < count) return;
          waiters.delete(check);
          resolve();
        };
        waiters.add(check);
        check();
      }),
    stop,
  };
}

/** An address that nothing listens on. */
export async function refusing(): Promise<string> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return `127.0.0.1:${port}`;
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  return text === '' ? undefined : (JSON.parse(text) as unknown);
}

export interface Extra {
  readonly leader?: string;
  readonly headers?: Record<string, string>;
}

/** 200 with this body. */
export const ok =
  (body: unknown, extra: Extra = {}): Step =>
  (response) => {
    response.writeHead(200, { 'content-type': 'application/json', ...headersOf(extra) });
    response.end(JSON.stringify(body));
  };

let sessions = 100;

/** The answer to `POST /sessions`: a number of its own each time, or this one. */
export const granted =
  (clientId?: string, extra: Extra = {}): Step =>
  (response) => {
    response.writeHead(201, { 'content-type': 'application/json', ...headersOf(extra) });
    response.end(JSON.stringify({ clientId: clientId ?? String((sessions += 1)) }));
  };

/** The answer to a write that was applied. */
export const written = (revision = '7', extra: Extra = {}): Step =>
  ok({ success: true, key: 'k', revision }, extra);

/** The answer to a read of a key that exists. */
export const found = (value = 'v', extra: Extra = {}): Step => ok({ key: 'k', value, revision: '7' }, extra);

/** A problem of this protocol; `retryAfter` in seconds. */
export const problem =
  (
    code: ErrorCode,
    extra: Extra & { readonly retryAfter?: number; readonly outcome?: Outcome; readonly body?: object } = {},
  ): Step =>
  (response) => {
    const { status, title, retryable, outcome } = ERRORS[code];
    response.writeHead(status, {
      'content-type': 'application/problem+json',
      'kv-request-id': 'r-1',
      ...(extra.retryAfter === undefined ? {} : { 'retry-after': String(extra.retryAfter) }),
      ...headersOf(extra),
    });
    response.end(
      JSON.stringify({
        type: `urn:quorumkv:${code}`,
        title,
        status,
        detail: title,
        code,
        requestId: 'r-1',
        retryable,
        outcome: extra.outcome ?? outcome,
        ...extra.body,
      }),
    );
  };

/** The request has arrived; the connection breaks without an answer. */
export const broken: Step = (_response, _seen, socket) => void socket.destroy();

/** The answer breaks off in the middle. */
export const cut: Step = (response, _seen, socket) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
  response.write('{"success":true', () => void socket.destroy());
};

/** No answer, ever. */
export const hung: Step = () => undefined;

export const redirect =
  (address: string): Step =>
  (response, seen) => {
    response.writeHead(307, {
      location: `http://${address}${seen.path}`,
      'content-type': 'application/json',
    });
    response.end(JSON.stringify({ leaderId: 'n', leaderAddr: address }));
  };

/** Any status and text, as a proxy would answer. */
export const raw =
  (status: number, text: string): Step =>
  (response) => {
    response.writeHead(status, { 'content-type': 'text/html' });
    response.end(text);
  };

function headersOf({ leader, headers }: Extra): Record<string, string> {
  return { 'kv-revision': '7', ...(leader === undefined ? {} : { 'kv-leader': `n1 ${leader}` }), ...headers };
}
