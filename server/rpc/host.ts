/** The serving side of one port: `POST /rpc` and the persistent connections, on the same methods. */

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Channel, ChannelOptions } from './channel.js';
import { createDispatcher } from './dispatch.js';
import type { Methods } from './dispatch.js';
import { BODY_BYTES_MAX, endpointOf } from './endpoint.js';
import type { Endpoint } from './endpoint.js';
import type { PeerGate } from './gate.js';
import type { Logger } from './logger.js';
import { acceptUpgrade, refuseUpgrade } from './upgrade.js';

export interface RpcHostOptions extends Omit<ChannelOptions, 'dispatcher'> {
  readonly methods: Methods;
  readonly logger: Logger;
  /** Persistent connections at a time, at most; further ones are answered 503. Default: 256. */
  readonly channelsMax?: number;
  /** Bytes of a body of `POST /rpc`, at most. Default: 16 MiB. */
  readonly bodyBytesMax?: number;
  /** Absent: anybody may call. */
  readonly gate?: PeerGate;
}

export interface RpcHost {
  /** Answers the body of a `POST /rpc`; undefined: 204. */
  readonly post: Endpoint;
  /** For the HTTP server's 'upgrade' event. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Closes every connection and takes no more. */
  close(): void;
}

const CHANNELS_MAX = 256;

export function createRpcHost(options: RpcHostOptions): RpcHost {
  const { methods, logger, channelsMax = CHANNELS_MAX, bodyBytesMax = BODY_BYTES_MAX } = options;
  const dispatcher = createDispatcher(methods, logger);
  const channels = new Set<Channel>();
  let closing = false;

  return {
    post: endpointOf(dispatcher, bodyBytesMax),
    upgrade(request, socket, head) {
      if (closing || channels.size >= channelsMax) {
        socket.on('error', () => socket.destroy());
        refuseUpgrade(socket, '503 Service Unavailable');
        return;
      }
      const lacking = options.gate?.(request);
      if (lacking !== undefined) {
        logger.warn(
          { remote: request.socket.remoteAddress, lacking },
          'a connection between nodes was refused',
        );
        socket.on('error', () => socket.destroy());
        refuseUpgrade(socket, '401 Unauthorized\r\nWWW-Authenticate: Bearer');
        return;
      }
      const channel = acceptUpgrade(request, socket, head, { ...options, dispatcher });
      if (channel === undefined) return;
      channels.add(channel);
      void channel.closed.then(() => channels.delete(channel));
    },
    close() {
      closing = true;
      for (const channel of channels) channel.close('this node is shutting down');
    },
  };
}
