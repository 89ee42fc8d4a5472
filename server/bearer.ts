/** `Authorization: Bearer` (RFC 6750), and secrets that are compared without telling by the time it takes how much of them was right. */

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** Of the token in the header; undefined where there is none. */
export function digestOfBearer({ headers }: Pick<IncomingMessage, 'headers'>): Buffer | undefined {
  const token = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1];
  return token === undefined ? undefined : digestOf(token);
}

export function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

export function isSame(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}

/** The header that shows a secret. */
export function bearer(secret: string | undefined): { readonly Authorization?: string } {
  return secret === undefined ? {} : { Authorization: `Bearer ${secret}` };
}
