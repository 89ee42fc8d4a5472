import type { IncomingMessage } from 'node:http';

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

/** What of it the routes need that most of the traffic goes to; they are answered without Koa (`hot.ts`). */
export interface Exchange {
  readonly req: IncomingMessage;
  /** `http` or `https`. */
  readonly protocol: string;
  readonly state: RequestState;
  status: number;
  /** The whole text. */
  body: unknown;
  /** A header of the answer. */
  set(name: string, value: string): void;
}

/** Answers one request by filling in its exchange; whatever it throws becomes a problem answer. */
export type HotHandler = (exchange: Exchange) => Promise<void>;

/** Answers one request by filling in its context; whatever it throws becomes a problem answer. */
export type Handler = (ctx: Context) => Promise<void>;
