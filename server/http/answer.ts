import type { SetResponse, DeleteResponse } from '../../api/types.js';
import type { WriteResult } from '../../kv/command.js';
import type { Exchange } from './context.js';
import { jsonString } from './json.js';
import { RequestError } from './request-error.js';

/** `revision`: the applied index that the answer reflects, when it isn't simply the current one. */
export function answerJson(ctx: Exchange, status: number, body: object, revision?: number): void {
  answerText(ctx, status, JSON.stringify(body));
  if (revision !== undefined) ctx.state.revision = revision;
}

/** `text` is JSON. */
export function answerText(ctx: Exchange, status: number, text: string): void {
  ctx.status = status;
  ctx.set('Content-Type', 'application/json');
  ctx.body = text;
}

/** The answer of a write that the state machine has decided; `applied` is what this node, perhaps a follower, has applied. */
export function answerWrite(ctx: Exchange, key: string, result: WriteResult, applied: number): void {
  if (result.status === 'set') {
    ctx.state.revision = result.revision;
    answerText(ctx, 200, setJson(key, result.revision));
    return;
  }
  if (result.status !== 'revision-mismatch') {
    answerJson(ctx, 200, writeBody(key, result), result.revision);
    return;
  }
  // The node that decided may be ahead of this one.
  ctx.state.revision = Math.max(result.currentRevision, applied);
  throw mismatch(result.currentRevision);
}

/** `writeBody` of a set as JSON, put together by hand: much of the traffic are these. */
export function setJson(key: string, revision: number): string {
  return `{"success":true,"key":${jsonString(key)},"revision":"${revision}"}`;
}

/** The body for a write that took effect. */
export function writeBody(
  key: string,
  { status, revision }: { readonly status: 'set' | 'deleted' | 'not-found'; readonly revision: number },
): SetResponse | DeleteResponse {
  if (status === 'set') return { success: true, key, revision: String(revision) };
  return { success: true, key, status, deleted: status === 'deleted', revision: String(revision) };
}

/** The condition of a write did not hold; 0: there is no such key. */
export function mismatch(currentRevision: number): RequestError {
  return new RequestError(
    'revision-mismatch',
    currentRevision === 0 ? 'there is no such key' : `the key is at revision ${currentRevision}`,
    { currentRevision: currentRevision === 0 ? null : String(currentRevision) },
  );
}
