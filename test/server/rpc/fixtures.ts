/** Nodes on real loopback sockets, in one process. */

import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { ExecutionContext } from 'ava';
import type { Message } from '../../../raft/messages.js';
import type { Inbox } from '../../../server/ports.js';
import type { Methods } from '../../../server/rpc/dispatch.js';
import { createRpcHost } from '../../../server/rpc/host.js';
import type { RpcHost, RpcHostOptions } from '../../../server/rpc/host.js';
import type { Roster } from '../../../server/rpc/identity.js';
import type { Logger } from '../../../server/rpc/logger.js';
import { createPeerTransport } from '../../../server/rpc/peers.js';
import type { PeerTransport, PeerTransportOptions } from '../../../server/rpc/peers.js';

export interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: unknown;
}

/** A logger that keeps what it is told. */
export function recorder(): { logger: Logger; lines: Line[] } {
  const lines: Line[] = [];
  const at =
    (level: string) =>
    (fields: unknown, message?: string): void => {
      lines.push({ level, message: message ?? '', fields });
    };
  return {
    lines,
    logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
  };
}

export const silent: Logger = recorder().logger;

export interface Served {
  readonly host: RpcHost;
  readonly port: number;
  readonly address: string;
  /** Every socket that ever came in. */
  readonly sockets: Socket[];
  post(body: unknown): Promise<Response>;
  /** Breaks every connection without a word and stops listening. */
  readonly close: () => Promise<void>;
}

/** An HTTP server on a port of the kernel's choice (or `port`) with `methods` behind `/rpc`. */
export async function serve(
  methods: Methods,
  options: Partial<RpcHostOptions> = {},
  port = 0,
): Promise<Served> {
  const host = createRpcHost({ logger: silent, ...options, methods });
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      void host.post(Buffer.concat(chunks)).then((answer) => {
        response.statusCode = answer === undefined ? 204 : 200;
        response.end(answer);
      });
    });
  });
  const sockets: Socket[] = [];
  server.on('connection', (socket) => sockets.push(socket));
  server.on('upgrade', (request, socket, head) => host.upgrade(request, socket, head));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const bound = (server.address() as AddressInfo).port;
  const address = `127.0.0.1:${bound}`;
  return {
    host,
    port: bound,
    address,
    sockets,
    post: (body) => fetch(`http://${address}/rpc`, { method: 'POST', body: JSON.stringify(body) }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

export const CLUSTER_ID = 'c-1';

/** What the node `id` knows; its incarnation is `<id>-disk`, as is everyone's. */
export function rosterOf(id: string, overrides: Partial<Roster> = {}): Roster {
  return {
    clusterName: 'demo',
    self: () => ({ id, incarnation: `${id}-disk` }),
    clusterId: () => CLUSTER_ID,
    peerIncarnation: (peer) => `${peer}-disk`,
    firstVoters: () => undefined,
    isReplaced: () => false,
    introduction: () => ({
      addresses: { raft: `${id}:1`, rpc: `${id}:2`, http: `${id}:3` },
      version: '1.0.0',
    }),
    met: () => undefined,
    ...overrides,
  };
}

/** Params of a call from n2 to n1. */
export function envelope(): Record<string, unknown> {
  return {
    cluster: 'demo',
    clusterId: CLUSTER_ID,
    from: { id: 'n2', incarnation: 'n2-disk' },
    to: { id: 'n1', incarnation: 'n1-disk' },
  };
}

export interface RecordingInbox extends Inbox {
  readonly received: Message[];
  readonly unreached: string[];
}

/** Keeps what arrives; `react` may answer it. */
export function inboxOf(react: (message: Message) => void = () => undefined): RecordingInbox {
  const received: Message[] = [];
  const unreached: string[] = [];
  return {
    received,
    unreached,
    receive(message) {
      received.push(message);
      react(message);
    },
    unreachable: (peer) => void unreached.push(peer),
  };
}

export interface TestNode {
  readonly id: string;
  readonly transport: PeerTransport;
  readonly inbox: RecordingInbox;
  readonly served: Served;
  readonly lines: Line[];
  /** Where this node looks for the others. */
  readonly addresses: Map<string, string>;
  readonly close: () => Promise<void>;
}

export interface NodeOptions {
  readonly react?: (message: Message, transport: PeerTransport) => void;
  readonly transport?: Partial<PeerTransportOptions>;
  readonly roster?: Partial<Roster>;
  readonly port?: number;
}

export const ELECTION_TIMEOUT_MS = [150, 300] as const;

/** A node without a core: `react` stands in for it. */
export async function startNode(id: string, options: NodeOptions = {}): Promise<TestNode> {
  const addresses = new Map<string, string>();
  const { logger, lines } = recorder();
  const inbox = inboxOf((message) => options.react?.(message, transport));
  const transport = createPeerTransport({
    roster: rosterOf(id, options.roster),
    inbox,
    resolve: (peer) => {
      const address = addresses.get(peer);
      return address === undefined ? undefined : { address, incarnation: `${peer}-disk` };
    },
    electionTimeoutMs: ELECTION_TIMEOUT_MS,
    logger,
    random: () => 0,
    ...options.transport,
  });
  const served = await serve(transport.methods, { logger }, options.port);
  return {
    id,
    transport,
    inbox,
    served,
    lines,
    addresses,
    async close() {
      transport.close();
      await served.close();
    },
  };
}

/** Waits until `condition` holds, trying again every millisecond; fails with `what` after 5 s. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadlineMs = performance.now() + 5000;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** What `promise` rejects with. */
export async function rejection(t: ExecutionContext, promise: Promise<unknown>): Promise<unknown> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  t.truthy(outcome, 'it should have rejected');
  return outcome?.error;
}
