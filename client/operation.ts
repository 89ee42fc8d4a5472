/** What a call asks of the cluster, and what one attempt of it came to. */

import type { Consistency } from '../api/types.js';
import type { Answer, Failure } from './failure.js';
import type { Route } from './nodes.js';
import type { AbortSignalLike } from './options.js';

/** The same request as one of many in a `POST /pipeline`. */
export interface Piped {
  readonly key: string;
  /** Its entry in `ops`, as JSON, but for its session and the closing brace. */
  readonly text: () => string;
  /** Of a read. All reads of one pipeline have the same. */
  readonly consistency?: Consistency | undefined;
  /** About what it adds to the body. */
  readonly bytes: number;
}

/** What a call asks of the cluster. */
export interface Operation<T> {
  /** It changes something: where no answer comes, its outcome is in doubt. */
  readonly isWrite: boolean;
  /**
   * A write that no session guards: it is sent again only while no attempt can have been applied. Other writes have a
   * number in a session, and are sent again whatever became of the last attempt.
   */
  readonly isUnguarded?: boolean;
  readonly route: Route;
  /** Ask this node first. */
  readonly preferred?: string | undefined;
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** With its query; made when it is needed, where many calls don't need it. */
  readonly path: string | (() => string);
  readonly body?: unknown;
  /** Those of success. Default: 200. */
  readonly statuses?: readonly number[];
  /** Set where it may share a round trip with others. */
  readonly piped?: Piped | undefined;
  /** What the call resolves to. A throw means that the answer is not what it should be. */
  readonly read: (answer: Answer, origin: string) => T;
}

/** A failed attempt. */
export interface Failed {
  /** The node that was asked; undefined when it did not come to that. */
  readonly origin: string | undefined;
  readonly failure: Failure;
}

export type Attempted<T> = { readonly value: T } | Failed;

export interface Bounds {
  readonly remainingMs: number;
  readonly signal: AbortSignalLike;
}
