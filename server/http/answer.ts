import type { SetResponse, DeleteResponse } from '../../api/types.js';
import type { WriteResult } from '../../kv/command.js';
import type { Context } from './context.js';
import { RequestError } from './request-error.js';

/** `revision`: the applied index that the answer reflects, when it isn't simply the current one. */
export function answerJson(ctx: Context, status: number, body: object, revision?: number): void {
  ctx.status = status;
  ctx.res.setHeader('Content-Type', 'application/json');
  ctx.body = JSON.stringify(body);
  if (revision !== undefined) ctx.state.revision = revision;
}

/** The answer of a write that the state machine has decided; `applied` is what this node, perhaps a follower, has applied. */
export function answerWrite(ctx: Context, key: string, result: WriteResult, applied: number): void {
  switch (result.status) {
    case 'set': {
      const body: SetResponse = { success: true, key, revision: String(result.revision) };
      answerJson(ctx, 200, body, result.revision);
      return;
    }
    case 'deleted':
    case 'not-found': {
      const { status, revision } = result;
      const deleted = status === 'deleted';
      const body: DeleteResponse = { success: true, key, status, deleted, revision: String(revision) };
      answerJson(ctx, 200, body, revision);
      return;
    }
    case 'revision-mismatch': {
      const current = result.currentRevision;
      // The node that decided may be ahead of this one.
      ctx.state.revision = Math.max(current, applied);
      throw new RequestError(
        'revision-mismatch',
        current === 0 ? 'there is no such key' : `the key is at revision ${current}`,
        { currentRevision: current === 0 ? null : String(current) },
      );
    }
  }
}
