/** `kv` without a command: a prompt with history and completion; in a pipe, a script of the same commands. */

import { chmod, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import * as commands from './commands.js';
import { EXIT, type Context } from './context.js';
import { list } from './list.js';
import { log } from './members.js';
import { printable, write } from './output.js';
import { quoted, wordsOf } from './words.js';

const HISTORY_LINES_MAX = 1000;

/** Keys offered by completion. */
const KEYS_MAX = 50;
/** People wait for it. */
const COMPLETION_MS = 1_000;

interface PromptCommand {
  readonly usage: string;
  readonly help: string;
  readonly words: { readonly min: number; readonly max: number };
  readonly run: (context: Context, words: readonly string[]) => Promise<number>;
}

const COMMANDS: Readonly<Record<string, PromptCommand>> = {
  set: {
    usage: 'set <key> <value>',
    help: 'store a value',
    words: { min: 2, max: 2 },
    run: (context, [key = '', value = '']) => commands.set(context, key, value, {}),
  },
  get: {
    usage: 'get <key>',
    help: 'print a value',
    words: { min: 1, max: 1 },
    run: (context, [key = '']) => commands.get(context, key),
  },
  delete: {
    usage: 'delete <key>',
    help: 'delete a key',
    words: { min: 1, max: 1 },
    run: (context, [key = '']) => commands.remove(context, key, {}),
  },
  all: {
    usage: 'all [prefix]',
    help: 'print all entries, or those that begin with a prefix',
    words: { min: 0, max: 1 },
    run: (context, [prefix]) => list(context, prefix, {}),
  },
  status: {
    usage: 'status',
    help: 'print the members of the cluster',
    words: { min: 0, max: 0 },
    run: (context) => commands.status(context),
  },
  log: {
    usage: 'log [limit]',
    help: 'print the newest entries of the log',
    words: { min: 0, max: 1 },
    run: (context, [limit]) => log(context, limit === undefined ? undefined : Number(limit)),
  },
};

const WORDS = [...Object.keys(COMMANDS), 'help', 'exit'];
const WITH_KEYS = ['set', 'get', 'delete', 'all'];

/** Runs until `exit` or the end of the input. In a script, the exit code tells whether every command was done. */
export async function prompt(context: Context): Promise<number> {
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
  const history = isTerminal ? await readHistory() : [];
  const lines = createInterface({
    input: process.stdin,
    ...(isTerminal ? { output: process.stdout } : {}),
    terminal: isTerminal,
    prompt: 'kv> ',
    history,
    historySize: HISTORY_LINES_MAX,
    removeHistoryDuplicates: true,
    completer: (line: string, callback: Completed) => void complete(context, line, callback),
  });
  const stop = () => lines.close();
  context.signal.addEventListener('abort', stop);
  let current: AbortController | undefined;
  lines.on('SIGINT', () => interrupt(lines, current));
  lines.on('history', (now: string[]) => void history.splice(0, history.length, ...now));
  if (isTerminal) await write(process.stdout, 'Type help for the commands, exit to leave.\n');
  const isStopped = () => context.signal.aborted;
  let worst: number = EXIT.done;
  lines.prompt();
  try {
    for await (const line of lines) {
      current = new AbortController();
      const signal = AbortSignal.any([context.signal, current.signal]);
      const code = await carryOut({ ...context, signal }, line);
      current = undefined;
      if (code === 'exit' || isStopped()) break;
      worst = Math.max(worst, code === EXIT.done ? EXIT.done : EXIT.error);
      if (isTerminal) lines.prompt();
    }
  } finally {
    lines.close();
    context.signal.removeEventListener('abort', stop);
    if (isTerminal) await writeHistory(history);
  }
  return isTerminal ? EXIT.done : worst;
}

/** Ctrl-C ends a command that runs; without one it clears the line, and on an empty one it leaves. */
function interrupt(lines: Interface, current: AbortController | undefined): void {
  if (current !== undefined) current.abort();
  else if (lines.line === '') lines.close();
  else {
    lines.write(null, { ctrl: true, name: 'e' });
    lines.write(null, { ctrl: true, name: 'u' });
  }
}

async function carryOut(context: Context, line: string): Promise<number | 'exit'> {
  try {
    const [name, ...words] = wordsOf(line);
    if (name === undefined || name.startsWith('#')) return EXIT.done;
    if (name === 'exit' || name === 'quit') return 'exit';
    if (name === 'help') return await help();
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
    if (command === undefined) throw new Error(`there is no command ${name}; type help for those there are`);
    const { min, max } = command.words;
    if (words.length < min || words.length > max) {
      throw new Error(`usage: ${command.usage}; a value with spaces goes in quotes`);
    }
    const code = await command.run(context, words);
    // A value has no line end of its own.
    if (name === 'get' && code === EXIT.done && context.format === 'plain') await write(process.stdout, '\n');
    return code;
  } catch (error) {
    process.stderr.write(`kv: ${printable(error instanceof Error ? error.message : String(error))}\n`);
    return EXIT.error;
  }
}

async function help(): Promise<number> {
  const rows = Object.values(COMMANDS).map(({ usage, help: text }) => `  ${usage.padEnd(20)} ${text}\n`);
  await write(process.stdout, `${rows.join('')}  ${'exit'.padEnd(20)} leave\n`);
  return EXIT.done;
}

type Completed = (error: null, result: [string[], string]) => void;

/** The first word is a command, the second one a key. */
async function complete({ client, signal }: Context, line: string, callback: Completed): Promise<void> {
  const [, name = '', rest] = /^\s*(\S*)(\s+.*)?$/.exec(line) ?? [];
  if (rest === undefined) {
    callback(null, [WORDS.filter((word) => word.startsWith(name)).map((word) => `${word} `), name]);
    return;
  }
  const begun = rest.trimStart();
  const found: string[] = [];
  try {
    if (WITH_KEYS.includes(name) && !/\s/.test(begun)) {
      const options = { limit: KEYS_MAX, timeoutMs: COMPLETION_MS, consistency: 'stale', signal } as const;
      for await (const { key } of client.list({ ...options, prefix: begun })) found.push(quoted(key));
    }
  } catch {
    // No completion, then.
  }
  callback(null, [found, begun]);
}

function historyFile(): string {
  return process.env['KV_HISTORY'] ?? path.join(homedir(), '.kv_history');
}

/** The newest first, as readline wants it. */
async function readHistory(): Promise<string[]> {
  const text = await readFile(historyFile(), 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .slice(0, HISTORY_LINES_MAX);
}

/** Values may be secrets: for the user's own eyes. A history that can't be kept is no reason to fail. */
async function writeHistory(history: readonly string[]): Promise<void> {
  const file = historyFile();
  await writeFile(file, history.map((line) => `${line}\n`).join(''), { mode: 0o600 })
    .then(() => chmod(file, 0o600))
    .catch(() => undefined);
}
