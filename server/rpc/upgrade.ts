/** How a persistent connection comes about: an HTTP/1.1 upgrade (RFC 9110, 7.8) on the path of `POST /rpc`. */

import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { PATHS } from '../../api/paths.js';
import { bearer } from '../bearer.js';
import { type Credentials, NO_CREDENTIALS } from '../credentials.js';
import { createChannel } from './channel.js';
import type { Channel, ChannelOptions } from './channel.js';
import { ChannelError } from './errors.js';

/** The name of the protocol in `Upgrade`. */
export const RPC_PROTOCOL = 'quorumkv-rpc';

/**
 * For the server's 'upgrade' event: the channel, or undefined when the request was for something else, which is then
 * answered with 404 or 426 and closed. Never throws.
 */
export function acceptUpgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  options: ChannelOptions,
): Channel | undefined {
  const path = (request.url ?? '').split('?', 1)[0];
  const wanted = request.headers.upgrade?.toLowerCase();
  // An unheard 'error' event would end the process.
  socket.on('error', () => socket.destroy());
  if (!(socket instanceof Socket) || path !== PATHS.rpc || wanted !== RPC_PROTOCOL) {
    const status = path === PATHS.rpc ? `426 Upgrade Required\r\nUpgrade: ${RPC_PROTOCOL}` : '404 Not Found';
    refuseUpgrade(socket, status);
    return undefined;
  }
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${RPC_PROTOCOL}\r\n\r\n`);
  return createChannel(socket, head, options);
}

/** Answers an upgrade with `status` (code, phrase and further header lines), and closes. */
export function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}

export interface ConnectOptions extends ChannelOptions {
  /** From the name's resolution to the agreement on the protocol, in ms. */
  readonly connectTimeoutMs: number;
  /** Ends the attempt. */
  readonly signal?: AbortSignal;
  /** Default: none. */
  readonly credentials?: Credentials;
}

/** `host:port`, `[v6]:port`; undefined when it is neither. */
function hostAndPort(address: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  return host === undefined ? undefined : { host, port: Number(match?.[3]) };
}

/**
 * Opens a channel to `address`; its name is resolved anew every time, since addresses may change behind names.
 * Rejects with a `ChannelError` (`never-sent`) that says why there is none.
 */
export function connectChannel(address: string, options: ConnectOptions): Promise<Channel> {
  const target = hostAndPort(address);
  return new Promise((resolve, reject) => {
    const fail = (message: string, cause?: unknown): void =>
      reject(new ChannelError('never-sent', `${address}: ${message}`, { cause }));
    if (target === undefined || target.port > 65_535) {
      fail('is not host:port');
      return;
    }
    const { tls, peerSecret } = options.credentials ?? NO_CREDENTIALS;
    const asked = {
      ...target,
      path: PATHS.rpc,
      agent: false,
      headers: { Connection: 'Upgrade', Upgrade: RPC_PROTOCOL, ...bearer(peerSecret) },
    } as const;
    const request = tls === undefined ? httpRequest(asked) : httpsRequest({ ...asked, ...tls });
    const timer = setTimeout(
      () => request.destroy(new Error(`no connection within ${options.connectTimeoutMs} ms`)),
      options.connectTimeoutMs,
    );
    // Not the request's own option: that would cut the connection later, too, with what it still has to deliver.
    const onAbort = (): void => void request.destroy(new Error('the attempt was given up'));
    options.signal?.addEventListener('abort', onAbort, { once: true });
    const settle = (): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
    };
    request.on('upgrade', (response, socket, head) => {
      settle();
      if (response.headers.upgrade?.toLowerCase() !== RPC_PROTOCOL) {
        socket.destroy();
        fail(`agreed to "${response.headers.upgrade ?? ''}" instead of ${RPC_PROTOCOL}`);
        return;
      }
      resolve(createChannel(socket, head, options));
    });
    request.on('response', (response) => {
      settle();
      request.destroy();
      fail(
        response.statusCode === 401
          ? 'does not take the credentials of this node: make auth.peerSecret the same on every node, and tls.caFile vouch for all of them'
          : `does not speak ${RPC_PROTOCOL} (answered ${response.statusCode ?? 0})`,
      );
    });
    request.on('error', (error: NodeJS.ErrnoException) => {
      settle();
      // Where a name has several addresses, the error is a list of errors, and only its code says something.
      fail(error.message === '' ? (error.code ?? error.name) : error.message, error);
    });
    request.end();
  });
}
