/** The sockets of a node: one server for each distinct address, carrying what belongs there. */

import type { RequestListener, Server } from 'node:http';
import type { Logger } from 'pino';
import { parseAddress } from '../configs/address.js';
import type { Config } from '../configs/config.js';
import { createHttpApp, createRpcApp } from './http/app.js';
import { createHttpServer, stopHttpServer } from './http/http-server.js';
import type { Methods } from './rpc/dispatch.js';
import type { RpcHost } from './rpc/host.js';
import { createRpcHost } from './rpc/host.js';
import type { Service } from './service.js';

export interface ListenersOptions {
  readonly config: Config;
  readonly service: Service;
  /** For `raft.bindAddr`. */
  readonly raftMethods: Methods;
  /** For `rpcAddr`. */
  readonly controlMethods: Methods;
  readonly logger: Logger;
}

export interface Listeners {
  /**
   * Answers what comes with `Connection: close`, so that clients go elsewhere by themselves; resolves when nothing has come for a
   * moment, after `graceMs` at the latest. Other nodes are still heard.
   */
  drain(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

interface Listener {
  readonly server: Server;
  readonly host: RpcHost | undefined;
  readonly drain: (graceMs: number) => Promise<void>;
}

/** A server without a request for so long has seen its last: clients were told to go. */
const QUIET_MS = 150;

/** Listens on every address, or throws a `ListenError` and on none. */
export async function listen(options: ListenersOptions): Promise<Listeners> {
  const { httpAddr, rpcAddr, raft } = options.config;
  const keys = new Map([
    [httpAddr, 'httpAddr'],
    [rpcAddr, 'rpcAddr'],
    [raft.bindAddr, 'raft.bindAddr'],
  ]);
  const opened: Listener[] = [];
  const closeAll = async (): Promise<void> => {
    for (const { host } of opened) host?.close();
    await Promise.all(opened.map(({ server }) => stopHttpServer(server, 0)));
  };
  try {
    for (const [address, key] of keys) {
      const listener = createListener(address, options);
      await listening(listener.server, address, key, options.config.source);
      opened.push(listener);
    }
  } catch (error) {
    await closeAll();
    throw error;
  }
  return {
    async drain(graceMs) {
      await Promise.all(opened.map((listener) => listener.drain(graceMs)));
    },
    close: closeAll,
  };
}

function createListener(address: string, options: ListenersOptions): Listener {
  const { config, service, logger } = options;
  const carriesHttp = address === config.httpAddr;
  const methods = {
    ...(address === config.rpcAddr ? options.controlMethods : {}),
    ...(address === config.raft.bindAddr ? options.raftMethods : {}),
  };
  const host = Object.keys(methods).length === 0 ? undefined : createRpcHost({ methods, logger });
  const listener = application(carriesHttp, host, options);
  const server = createHttpServer({ listener, limits: config.http, service, logger });
  if (host !== undefined)
    server.on('upgrade', (request, socket, head) => host.upgrade(request, socket, head));
  return { server, host, drain: drainOf(server) };
}

function application(
  carriesHttp: boolean,
  host: RpcHost | undefined,
  options: ListenersOptions,
): RequestListener {
  const { config, service, logger } = options;
  const rpc = host === undefined ? undefined : { endpoint: host.post };
  if (carriesHttp) return createHttpApp({ service, config, logger, ...(rpc === undefined ? {} : { rpc }) });
  if (rpc === undefined) throw new Error('an address carries nothing');
  return createRpcApp({ service, config, logger, rpc });
}

/** An address could not be listened on; the message is one line with the remedy. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

function listening(server: Server, address: string, key: string, source: string): Promise<void> {
  const { host, port } = parseAddress(address);
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reason = error.code === 'EADDRINUSE' ? 'another process listens there' : error.message;
      reject(
        new ListenError(
          `${source}: ${key}: can't listen on ${address}: ${reason}; stop it, or give another address`,
        ),
      );
    });
    server.listen({ port, ...(host === undefined ? {} : { host }) }, () => resolve());
  });
}

function drainOf(server: Server): (graceMs: number) => Promise<void> {
  let draining = false;
  let inFlight = 0;
  let onQuiet: (() => void) | undefined;
  let quiet: NodeJS.Timeout | undefined;
  const watchQuiet = (): void => {
    clearTimeout(quiet);
    if (onQuiet !== undefined && inFlight === 0) quiet = setTimeout(onQuiet, QUIET_MS);
  };
  server.prependListener('request', (_request, response) => {
    inFlight += 1;
    if (draining) response.setHeader('Connection', 'close');
    response.once('close', () => {
      inFlight -= 1;
      watchQuiet();
    });
  });
  return async (graceMs) => {
    draining = true;
    await new Promise<void>((resolve) => {
      const deadline = setTimeout(resolve, graceMs);
      onQuiet = () => {
        clearTimeout(deadline);
        resolve();
      };
      watchQuiet();
    });
    clearTimeout(quiet);
    onQuiet = undefined;
  };
}
