/** Texts as the bytes of their UTF-8, written as one character a byte: the form in which rows are named. For ASCII that is the text itself. */

export function toLatin1(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

/** What `toLatin1` gave, as text. */
export function fromLatin1(bytes: string): string {
  return isAscii(bytes) ? bytes : Buffer.from(bytes, 'latin1').toString('utf8');
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}
