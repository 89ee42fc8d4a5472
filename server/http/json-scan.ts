/** Two questions about a JSON text that `JSON.parse` does not answer. Neither recurses, whatever the text nests. */

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * Whether brackets nest deeper than `levels`. Takes any text and stops at the first level too deep: `JSON.parse` itself
 * needs most of a second for a few million levels.
 */
export function nestsDeeper(text: string, levels: number): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === QUOTE) at = endOfString(text, at);
    else if (char === OPEN_OBJECT || char === OPEN_ARRAY) {
      depth += 1;
      if (depth > levels) return true;
    } else if (char === CLOSE_OBJECT || char === CLOSE_ARRAY) depth -= 1;
  }
  return false;
}

/** The first name that occurs twice in one object, however it is escaped. `text` must be valid JSON. */
export function duplicateName(text: string): string | undefined {
  /** The names seen in each open bracket; undefined for an array. */
  const open: (Set<string> | undefined)[] = [];
  let names: Set<string> | undefined;
  /** In valid JSON a string is a name exactly when it follows `{`, or a `,` that stands directly in an object. */
  let nameNext = false;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE: {
        const end = endOfString(text, at);
        if (nameNext && names !== undefined) {
          const name = decoded(text.slice(at, end + 1));
          if (names.has(name)) return name;
          names.add(name);
          nameNext = false;
        }
        at = end;
        break;
      }
      case COMMA:
        nameNext = names !== undefined;
        break;
      case OPEN_OBJECT:
        open.push(names);
        names = new Set();
        nameNext = true;
        break;
      case OPEN_ARRAY:
        open.push(names);
        names = undefined;
        nameNext = false;
        break;
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        names = open.pop();
        nameNext = false;
        break;
    }
  }
  return undefined;
}

/** Index of the quote that closes the string opened at `start`; the text's length when none does. */
function endOfString(text: string, start: number): number {
  let quote = start;
  for (;;) {
    quote = text.indexOf('"', quote + 1);
    if (quote < 0) return text.length;
    let backslashes = 0;
    while (text.charCodeAt(quote - 1 - backslashes) === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return quote;
  }
}

function decoded(literal: string): string {
  if (!literal.includes('\\')) return literal.slice(1, -1);
  const name: unknown = JSON.parse(literal);
  return String(name);
}
