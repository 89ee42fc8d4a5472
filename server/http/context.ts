import type { ParameterizedContext } from 'koa';

import type { Target } from './target.js';

/** What one request carries through the middleware. */
export interface RequestState {
  requestId: string;
  target: Target;
  /** The applied index that the answer reflects; undefined: the one at the time of the answer. */
  revision: number | undefined;
  /** The client may read, and no more; what can't be told by the route has to look at this. */
  isReadOnly?: true;
}

/** Koa's context with our state. */
export type Context = ParameterizedContext<RequestState>;

/** Answers one request by filling in its context; whatever it throws becomes a problem answer. */
export type Handler = (ctx: Context) => Promise<void>;
