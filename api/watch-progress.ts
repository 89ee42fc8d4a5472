/**
 * The comment by which a watch tells how far it has come while nothing happens to what is watched. The id that follows it is for other
 * clients; parsers of server-sent events tell of an id without data nowhere.
 */

/** `next`: of all before this revision, nothing is missing. */
export function progressComment(next: number): string {
  return `all before revision ${next} was told`;
}

/** The revision of such a comment; undefined for any other one. */
export function progressOf(comment: string): string | undefined {
  return /^ ?all before revision (\d{1,19}) was told$/.exec(comment)?.[1];
}
