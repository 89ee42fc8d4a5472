/** The commands of `kv`, their options and their help. */

import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { CONSISTENCIES } from '../api/types.js';
import * as commands from './commands.js';
import { withContext, type Context, type GlobalOptions } from './context.js';
import { parseDuration } from './duration.js';
import { exportFile, type ExportFlags } from './export.js';
import { CONCURRENCY_DEFAULT, CONCURRENCY_MAX, importFile, IMPORT_TIMEOUT_MS } from './import.js';
import { FORMATS } from './output.js';

const DEFAULT_ENDPOINTS = 'http://127.0.0.1:8080,http://127.0.0.1:8090,http://127.0.0.1:8100';

/** Runs one command and leaves its exit code behind. */
type Run = (
  command: Command,
  body: (context: Context) => Promise<number>,
  timeoutMs?: number,
) => Promise<void>;

/** The program; `finish` is told the exit code of the command that ran. */
export function createProgram(signal: AbortSignal, finish: (exitCode: number) => void): Command {
  const program = new Command('kv')
    .description('Talk to a quorumkv cluster, through any of its nodes.')
    .configureHelp({ showGlobalOptions: true })
    .version(version(), '-V, --version', 'print the version')
    .addOption(
      new Option('-e, --endpoints <list>', 'nodes, separated by commas: http://host:port or host:port')
        .env('KV_ENDPOINTS')
        .argParser(parseList)
        .default(parseList(DEFAULT_ENDPOINTS), DEFAULT_ENDPOINTS),
    )
    .addOption(
      new Option('-o, --output <format>', 'default: table on a terminal, plain in a pipe').choices(FORMATS),
    )
    .addOption(new Option('--consistency <level>', 'of reads; default: linearizable').choices(CONSISTENCIES))
    .option(
      '--timeout <duration>',
      'for one call, retries included, such as 500ms or 5s; default: 10s (import: 60s for each entry)',
      parseDuration,
    )
    .addHelpText(
      'after',
      `
Examples:
  kv set greeting hello            store a value
  kv get greeting                  print it
  kv --endpoints n1:8080,n2:8080 status
  kv export backup.jsonl && kv import backup.jsonl

Exit codes: 0 done, 1 error, 2 key not found.`,
    );

  const run: Run = async (command, body, timeoutMs) => {
    const options = command.optsWithGlobals<GlobalOptions>();
    finish(await withContext(options, signal, timeoutMs, body));
  };
  addGet(program, run);
  addSet(program, run);
  addDelete(program, run);
  addStatus(program, run);
  addImport(program, run);
  addExport(program, run);
  return program;
}

function addGet(program: Command, run: Run): void {
  program
    .command('get')
    .description('Print the value of a key. In a pipe: exactly its bytes, with nothing added.')
    .argument('<key>')
    .addHelpText(
      'after',
      `
Examples:
  kv get greeting
  kv get logo.png > logo.png
  kv get greeting --output json        with its revision
  kv get greeting --consistency stale  from any node, at once`,
    )
    .action((key: string, _flags: object, command: Command) =>
      run(command, (context) => commands.get(context, key)),
    );
}

function addSet(program: Command, run: Run): void {
  program
    .command('set')
    .description('Set the value of a key. Prints the revision once a majority has it on disk.')
    .argument('<key>')
    .argument('<value>', 'the value; - reads it from standard input, byte for byte')
    .option('--if-absent', 'only when there is no such key')
    .addOption(
      new Option('--if-revision <revision>', 'only when the key has this revision now').conflicts('ifAbsent'),
    )
    .addHelpText(
      'after',
      `
Examples:
  kv set greeting hello
  kv set logo.png - < logo.png
  kv set lock me --if-absent
  kv set counter 5 --if-revision 17
  kv set offset -- -5                  a value that begins with a dash`,
    )
    .action((key: string, value: string, flags: commands.SetFlags, command: Command) =>
      run(command, (context) => commands.set(context, key, value, flags)),
    );
}

function addDelete(program: Command, run: Run): void {
  program
    .command('delete')
    .description('Delete a key. Exits with 2 when there is no such key.')
    .argument('<key>')
    .option('--if-revision <revision>', 'only when the key has this revision now')
    .addHelpText('after', '\nExamples:\n  kv delete greeting\n  kv delete lock --if-revision 17')
    .action((key: string, flags: commands.DeleteFlags, command: Command) =>
      run(command, (context) => commands.remove(context, key, flags)),
    );
}

function addStatus(program: Command, run: Run): void {
  program
    .command('status')
    .description('Print the members of the cluster, as its leader sees them.')
    .addHelpText('after', '\nExamples:\n  kv status\n  kv status --output json')
    .action((_flags: object, command: Command) => run(command, commands.status));
}

function addImport(program: Command, run: Run): void {
  program
    .command('import')
    .description(
      'Load JSON lines: {"key": "...", "value": "..."} or {"key": "...", "valueBase64": "..."}.\n' +
        'Goes on by itself when the leader changes. Nobody else may write these keys meanwhile.',
    )
    .argument('<file>', 'the file; - reads standard input')
    .option('--concurrency <n>', 'writes at a time', parseConcurrency, CONCURRENCY_DEFAULT)
    .addHelpText(
      'after',
      `
Examples:
  kv import backup.jsonl
  zcat backup.jsonl.gz | kv import -
  kv import big.jsonl --concurrency 64 --timeout 5m`,
    )
    .action((file: string, flags: { concurrency: number }, command: Command) =>
      run(command, (context) => importFile(context, file, flags.concurrency), IMPORT_TIMEOUT_MS),
    );
}

function addExport(program: Command, run: Run): void {
  program
    .command('export')
    .description('Write all entries as JSON lines, in the order of the keys, as kv import reads them.')
    .argument('[file]', 'the file; - writes to standard output', '-')
    .option('--prefix <text>', 'only keys that begin with this')
    .option('--stale', 'what the node itself has, at once: the same as --consistency stale')
    .addHelpText(
      'after',
      `
Examples:
  kv export backup.jsonl
  kv export --prefix users/ | gzip > users.jsonl.gz
  kv export --stale --endpoints n2:8080    what node n2 holds`,
    )
    .action((file: string, flags: ExportFlags, command: Command) =>
      run(command, (context) => exportFile(context, file, flags)),
    );
}

function parseList(text: string): string[] {
  const list = text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
  if (list.length === 0) throw new InvalidArgumentError('Name at least one node.');
  return list;
}

function parseConcurrency(text: string): number {
  const n = Number(text);
  if (Number.isInteger(n) && n >= 1 && n <= CONCURRENCY_MAX) return n;
  throw new InvalidArgumentError(`Give a number from 1 to ${CONCURRENCY_MAX}.`);
}

/** Of the package: this file is dist/cli/program.js in it. */
function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const found =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : '';
  return String(found);
}
