/** The README as data: its fenced blocks, and what its shell blocks promise. */

export interface Block {
  /** Of the fence's info string; empty when there is none. */
  readonly language: string;
  readonly text: string;
  /** Of the opening fence, from 1. */
  readonly line: number;
}

export interface Step {
  readonly command: string;
  /** Lines of the output; undefined: none is shown. */
  readonly shown: readonly string[] | undefined;
}

export function blocksOf(markdown: string): readonly Block[] {
  const blocks: Block[] = [];
  let open: { language: string; line: number; text: string[] } | undefined;
  for (const [at, text] of markdown.split('\n').entries()) {
    const fence = /^\s*```(.*)$/.exec(text)?.[1];
    if (fence === undefined) open?.text.push(text);
    else if (open === undefined) open = { language: fence.trim(), line: at + 1, text: [] };
    else {
      blocks.push({ language: open.language, line: open.line, text: open.text.join('\n') });
      open = undefined;
    }
  }
  if (open !== undefined) throw new Error(`the block of line ${open.line} does not end`);
  return blocks;
}

/** The commands of a shell block, in order; the comments behind a command are the output that it shows. */
export function stepsOf(text: string): readonly Step[] {
  const steps: { command: string; shown?: string[] }[] = [];
  for (const line of text.replaceAll('\\\n', ' ').split('\n')) {
    if (line.trim() === '') continue;
    const shown = /^# ?(.*)$/.exec(line)?.[1];
    const last = steps.at(-1);
    if (shown === undefined) steps.push({ command: line });
    else if (last === undefined) throw new Error(`output without a command: ${line}`);
    else last.shown = [...(last.shown ?? []), shown];
  }
  return steps.map(({ command, shown }) => ({ command, shown }));
}

/** Whether a line of output is what was shown: `…` stands for anything, and revisions depend on what came before. */
export function matches(shown: string, actual: string): boolean {
  const pattern = shown
    .split(/(…|(?<="revision":")\d+)/)
    .map((part) => {
      if (part === '…') return '.*';
      if (/^\d+$/.test(part)) return '\\d+';
      return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    })
    .join('');
  return new RegExp(`^${pattern}$`).test(actual);
}
