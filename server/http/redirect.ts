import type { Service } from '../service.js';
import { ServiceError } from '../service.js';
import { answerJson } from './answer.js';
import type { Exchange } from './context.js';
import { flagParam } from './params.js';
import type { Params } from './target.js';

/** The parameter that every write takes. */
export const REDIRECT = 'redirect';

/**
 * True when the write was answered with a 307 to the leader: asked for by `?redirect=true` or, for all, by
 * `http.onFollower: redirect`. Decided before the body is read. Throws `no-leader` when there is nowhere to send it.
 */
export function redirected(ctx: Exchange, params: Params, service: Service, always: boolean): boolean {
  const wanted = flagParam(params, REDIRECT) || (always && params.get(REDIRECT) === undefined);
  if (!wanted || service.isLeader()) return false;
  const leader = service.leader();
  if (leader === undefined) throw new ServiceError('no-leader', 'there is no leader to redirect to');
  const { path, query } = ctx.state.target;
  const target = query === undefined ? path : `${path}?${query}`;
  ctx.set('Location', `${ctx.protocol}://${leader.http}${target}`);
  answerJson(ctx, 307, { leaderId: leader.id, leaderAddr: leader.http });
  return true;
}
