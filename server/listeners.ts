/** The sockets of a node: one server for each distinct address, carrying what belongs there. */

import type { RequestListener } from 'node:http';
import type { Server } from 'node:net';
import type { Logger } from 'pino';
import { parseAddress } from '../configs/address.js';
import type { Config } from '../configs/config.js';
import type { Credentials } from './credentials.js';
import { createHttpApp, createRpcApp } from './http/app.js';
import type { HttpServer } from './http/http-server.js';
import { createHttpServer } from './http/http-server.js';
import type { Methods } from './rpc/dispatch.js';
import { type PeerGate, peerGate } from './rpc/gate.js';
import type { RpcHost } from './rpc/host.js';
import { createRpcHost } from './rpc/host.js';
import type { Metrics } from './metrics/metrics.js';
import type { Service } from './service.js';

export interface ListenersOptions {
  readonly config: Config;
  readonly service: Service;
  readonly credentials: Credentials;
  readonly metrics: Metrics;
  /** For `raft.bindAddr`. */
  readonly raftMethods: Methods;
  /** For `rpcAddr`. */
  readonly controlMethods: Methods;
  readonly logger: Logger;
}

export interface Listeners {
  /** Sends clients away, without breaking a request in flight before `graceMs`; connected nodes are still heard. */
  drain(graceMs: number): Promise<void>;
  close(): Promise<void>;
}

interface Listener extends HttpServer {
  readonly host: RpcHost | undefined;
}

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
    await Promise.all(opened.map(({ stop }) => stop(0)));
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
      await Promise.all(opened.map(({ stop }) => stop(graceMs)));
    },
    close: closeAll,
  };
}

function createListener(address: string, options: ListenersOptions): Listener {
  const { config, service, credentials, logger } = options;
  const asked = peerGate(credentials);
  const gate = asked === undefined ? {} : { gate: asked };
  const carriesHttp = address === config.httpAddr;
  const methods = {
    ...(address === config.rpcAddr ? options.controlMethods : {}),
    ...(address === config.raft.bindAddr ? options.raftMethods : {}),
  };
  const host = Object.keys(methods).length === 0 ? undefined : createRpcHost({ methods, logger, ...gate });
  const listener = application(carriesHttp, host, options, gate);
  const httpServer = createHttpServer({
    listener,
    limits: config.http,
    tls: credentials.tls,
    service,
    logger,
  });
  const { server } = httpServer;
  if (host !== undefined)
    server.on('upgrade', (request, socket, head) => host.upgrade(request, socket, head));
  return { ...httpServer, host };
}

function application(
  carriesHttp: boolean,
  host: RpcHost | undefined,
  options: ListenersOptions,
  gate: { readonly gate?: PeerGate },
): RequestListener {
  const { config, service, metrics, logger } = options;
  const rpc = host === undefined ? undefined : { endpoint: host.post, ...gate };
  if (carriesHttp)
    return createHttpApp({ service, config, logger, metrics, ...(rpc === undefined ? {} : { rpc }) });
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
