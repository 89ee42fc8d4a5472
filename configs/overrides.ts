/** Settings from outside the file: they are laid over its tree, and keep their origin for messages. */

import type { Path, Problem } from './problem.js';

/** One setting of them. */
export interface Override {
  readonly path: Path;
  readonly value: unknown;
  /** For messages: `environment KV_HTTP_ADDR`, `command line --listen`. */
  readonly from: string;
}

/** What one source, the environment or the command line, sets. */
export interface Overrides {
  readonly overrides: readonly Override[];
  /** HTTP addresses of peers whose ids are not known; undefined when these overrides say nothing of peers. */
  readonly peerUrls?: { readonly urls: readonly string[]; readonly from: string } | undefined;
  readonly problems: readonly (Problem & { readonly from: string })[];
}
