/** Where a setting stands, and what is wrong with it. */

/** The keys and list indexes that lead to a setting. */
export type Path = readonly (string | number)[];

/** One thing to put right. */
export interface Problem {
  /** The setting; empty for the file as a whole. */
  readonly path: Path;
  /** What is wrong, and the remedy. */
  readonly message: string;
}

/** A problem of the text itself, at an offset in it. */
export interface TextProblem extends Problem {
  readonly offset: number;
}

/** `cluster.peers[1].raft`. */
export function formatPath(path: Path): string {
  return path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`),
    '',
  );
}

/** Whether the path is the ancestor itself or leads on from it. */
export function isWithin(path: Path, ancestor: Path): boolean {
  return ancestor.every((step, depth) => path[depth] === step);
}

/** The configuration can't be used; nothing of it was put to work. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** Each a line of its own: the file, line and column, the key, what is wrong, and the remedy. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}
