/** The conditional headers (RFC 9110 §13.1) as conditions of a write, and as the answer 304 of a read. */

import type { IncomingHttpHeaders } from 'node:http';

import { parseRevision } from './params.js';
import { badField } from './request-error.js';

/** As in a `SetCommand`; at most one of them. */
export interface Conditions {
  readonly ifRevision?: number;
  readonly ifAbsent?: boolean;
  readonly ifPresent?: boolean;
}

/** What the headers demand of a write, joined with what its body or query does; at most one condition may be left. */
export function writeConditions(headers: IncomingHttpHeaders, asked: Conditions): Conditions {
  const ifMatch = headers['if-match'];
  const ifNoneMatch = headers['if-none-match'];
  const { ifRevision, ifAbsent = false } = asked;
  if (ifRevision !== undefined && ifAbsent)
    throw badField('ifRevision', 'contradicts ifAbsent; give one of the two');
  if (ifMatch === undefined && ifNoneMatch === undefined) return asked;

  if (ifMatch !== undefined && ifNoneMatch !== undefined) {
    throw badField('If-Match', 'contradicts If-None-Match; give one of the two');
  }
  const header = ifMatch === undefined ? 'If-None-Match' : 'If-Match';
  if (ifRevision !== undefined || ifAbsent) {
    throw badField(header, `comes beside ${ifAbsent ? 'ifAbsent' : 'ifRevision'}; give one of the two`);
  }
  if (ifMatch?.trim() === '*') return { ifPresent: true };
  if (ifMatch !== undefined) return { ifRevision: revisionOfETag(ifMatch) };
  if (ifNoneMatch?.trim() !== '*')
    throw badField(header, 'of a write must be *: only if there is no such key');
  return { ifAbsent: true };
}

/** A condition that nobody heeds would be a write without its condition. */
export function refuseConditions(headers: IncomingHttpHeaders): void {
  const name = (['If-Match', 'If-None-Match'] as const).find(
    (header) => headers[header.toLowerCase()] !== undefined,
  );
  if (name !== undefined) throw badField(name, 'has no meaning here; conditions are part of the body');
}

function revisionOfETag(text: string): number {
  const inner = /^\s*"([^"]*)"\s*$/.exec(text)?.[1];
  if (inner === undefined)
    throw badField(
      'If-Match',
      'must be one revision in double quotes, as ETag gave it, or *: only if there is such a key',
    );
  return parseRevision(inner, 'If-Match');
}

/** Whether the `If-None-Match` of a read names this revision (weak comparison). */
export function namesRevision(ifNoneMatch: string, revision: number): boolean {
  return ifNoneMatch.split(',').some((tag) => {
    const opaque = tag.trim().replace(/^W\//, '');
    return opaque === '*' || opaque === `"${revision}"`;
  });
}
