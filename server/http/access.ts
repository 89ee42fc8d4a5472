/** Who may ask for what, and how often: `auth.clients` and `limits.requestsPerSecond`. */

import type { ClientCredential, Config, Rights } from '../../configs/config.js';
import { digestOf, digestOfBearer, isSame } from '../bearer.js';
import { ServiceError } from '../service.js';
import type { Context } from './context.js';
import { createRateLimit } from './rate-limit.js';
import { RequestError } from './request-error.js';
import { includes, neededRights } from './rights.js';

/** Throws `unauthenticated`, `forbidden` or `rate-limited`. */
export type AccessCheck = (ctx: Context) => void;

interface Client {
  readonly name: string;
  readonly digest: Buffer;
  readonly rights: Rights;
  /** Another node: the others do not wait for it. */
  readonly isPeer: boolean;
}

/** Undefined where everybody may do everything. */
export function accessCheck({ auth, limits }: Pick<Config, 'auth' | 'limits'>): AccessCheck | undefined {
  const clients = auth.clients.length === 0 ? undefined : [...auth.clients.map(clientOf), ...peerOf(auth)];
  const { requestsPerSecond } = limits;
  const rate = requestsPerSecond === 0 ? undefined : createRateLimit(requestsPerSecond);
  if (clients === undefined && rate === undefined) return undefined;
  return (ctx) => {
    const needed = neededRights(ctx.method, ctx.state.target.path);
    if (needed === undefined) return;
    const client = clients && clientAmong(clients, ctx);
    // Before a wrong token is told so: whoever guesses may guess so often.
    if (rate !== undefined && client?.isPeer !== true) {
      const waitMs = rate.take(
        client === undefined ? `address ${ctx.req.socket.remoteAddress ?? ''}` : `token ${client.name}`,
        performance.now(),
      );
      if (waitMs > 0) throw tooMany(requestsPerSecond, waitMs);
    }
    if (clients === undefined) return;
    if (client === undefined) throw unauthenticated(ctx);
    if (!includes(client.rights, needed)) throw forbidden(client, needed);
    if (!includes(client.rights, 'write')) ctx.state.isReadOnly = true;
  };
}

function clientOf({ name, sha256, rights }: ClientCredential): Client {
  return { name, digest: Buffer.from(sha256, 'hex'), rights, isPeer: false };
}

/** Nodes ask each other for their status. */
function peerOf({ peerSecret }: Config['auth']): Client[] {
  return peerSecret === ''
    ? []
    : [{ name: 'peer', digest: digestOf(peerSecret), rights: 'read', isPeer: true }];
}

function clientAmong(clients: readonly Client[], ctx: Context): Client | undefined {
  const shown = digestOfBearer(ctx.req);
  if (shown === undefined) return undefined;
  // All of them, whichever it is: the time tells nothing.
  return clients.reduce<Client | undefined>(
    (found, client) => (isSame(shown, client.digest) ? client : found),
    undefined,
  );
}

function unauthenticated(ctx: Context): RequestError {
  const why =
    ctx.req.headers.authorization === undefined
      ? 'this node asks for a token: Authorization: Bearer <token>'
      : 'the token is none of those that this node knows (auth.clients)';
  return new RequestError('unauthenticated', why, { field: 'Authorization' });
}

function forbidden({ name, rights }: Client, needed: Rights): RequestError {
  return new RequestError(
    'forbidden',
    `the token of ${name} has the rights ${rights}; this needs ${needed}`,
    {
      field: 'Authorization',
    },
  );
}

function tooMany(requestsPerSecond: number, waitMs: number): ServiceError {
  return new ServiceError(
    'rate-limited',
    `a client may make ${requestsPerSecond} requests a second (limits.requestsPerSecond)`,
    { retryAfterSeconds: waitMs / 1000 },
  );
}
