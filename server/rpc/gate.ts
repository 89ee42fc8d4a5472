/** Who may call this node as a node: asked before anything of a call is read. */

import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { digestOf, digestOfBearer, isSame } from '../bearer.js';
import type { Credentials } from '../credentials.js';

/** What a call lacks, in words that follow "shows no"; undefined: it may go on. */
export type PeerGate = (request: Pick<IncomingMessage, 'headers' | 'socket'>) => string | undefined;

/** Undefined where nothing is asked for. */
export function peerGate({ tls, peerSecret }: Credentials): PeerGate | undefined {
  const asksForCertificate = tls?.ca !== undefined;
  if (!asksForCertificate && peerSecret === undefined) return undefined;
  const expected = peerSecret === undefined ? undefined : digestOf(peerSecret);
  return (request) => {
    const { socket } = request;
    if (asksForCertificate && !(socket instanceof TLSSocket && socket.authorized))
      return 'certificate that tls.caFile vouches for';
    if (expected === undefined) return undefined;
    const shown = digestOfBearer(request);
    return shown !== undefined && isSame(shown, expected) ? undefined : 'auth.peerSecret of this cluster';
  };
}
