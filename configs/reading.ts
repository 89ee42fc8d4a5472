/** What reading one setting gave: its value, or what is wrong and how to put it right, in one line. */
export type Reading<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/** A sound value. */
export function good<T>(value: T): Reading<T> {
  return { ok: true, value };
}

/** A problem: what is wrong, and the remedy. */
export function bad(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}

const SHOWN_LENGTH_MAX = 60;

/** A value as a message shows it: on one line, and short whatever the file holds. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a mapping';
  if (typeof value === 'number') return String(value);
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) return String(value);
  return text.length <= SHOWN_LENGTH_MAX ? text : `${text.slice(0, SHOWN_LENGTH_MAX)}…`;
}
