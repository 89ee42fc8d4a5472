/** `${NAME}` and `${NAME:-default}` in the strings of a file, from the environment. */

import { bad, good, type Reading } from './reading.js';

const REFERENCE = /\$\$\{|\$\{([^}]*)\}?/g;
const INSIDE = /^([A-Za-z_][A-Za-z0-9_]*)(:-([\s\S]*))?$/;

/**
 * Fills in references. As in the shell, the default also stands for a variable that is set but empty; `$${` is a plain `${`.
 * A variable's own text is not looked into again.
 */
export function interpolate(text: string, env: NodeJS.ProcessEnv): Reading<string> {
  let problem: string | undefined;
  const value = text.replace(REFERENCE, (reference, inside: string | undefined) => {
    if (inside === undefined) return '${';
    const match = reference.endsWith('}') ? INSIDE.exec(inside) : null;
    if (match === null) {
      problem ??= `${JSON.stringify(reference)} is not a reference; write \${NAME} or \${NAME:-default}, or $\${ for a plain \${`;
      return '';
    }
    const [, name = '', withDefault, fallback = ''] = match;
    const found = env[name];
    if (withDefault !== undefined) return found === undefined || found === '' ? fallback : found;
    if (found === undefined) {
      problem ??= `the environment variable ${name} is not set; set it, or give a default: \${${name}:-default}`;
    }
    return found ?? '';
  });
  return problem === undefined ? good(value) : bad(problem);
}

/** Text that {@link interpolate} leaves as it is. */
export function withoutReferences(text: string): string {
  // A function: in a replacement string `$$` would mean one `$`.
  return text.replaceAll('${', () => '$${');
}
