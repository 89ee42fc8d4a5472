/** The commands of `kv`, their options and their help. */

import { readFileSync } from 'node:fs';
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { closest, distance } from 'fastest-levenshtein';
import { CONSISTENCIES } from '../api/types.js';
import { addBackup, addMembers, type Run } from './cluster-program.js';
import * as commands from './commands.js';
import { completionScript, SHELLS, type Shell } from './completion.js';
import { EXIT, withContext, type GlobalOptions } from './context.js';
import { parseDuration } from './duration.js';
import { exportFile, type ExportFlags } from './export.js';
import { FILE_FORMATS } from './file-format.js';
import {
  CONCURRENCY_DEFAULT,
  CONCURRENCY_MAX,
  importFile,
  IMPORT_TIMEOUT_MS,
  type ImportFlags,
} from './import.js';
import { list, type ListFlags } from './list.js';
import { FORMATS, write } from './output.js';
import { prompt } from './prompt.js';
import { txn } from './txn.js';
import { watch, type WatchFlags } from './watch.js';

const DEFAULT_ENDPOINTS = 'http://127.0.0.1:8080,http://127.0.0.1:8090,http://127.0.0.1:8100';

/** The program; `finish` is told the exit code of the command that ran. */
export function createProgram(signal: AbortSignal, finish: (exitCode: number) => void): Command {
  const program = new Command('kv')
    .description('Talk to a quorumkv cluster, through any of its nodes.')
    .configureHelp({ showGlobalOptions: true })
    .version(version(), '-V, --version', 'print the version')
    .addOption(
      new Option(
        '-e, --endpoints <list>',
        'nodes, separated by commas: http://host:port, https://host:port or host:port',
      )
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
    .addOption(
      new Option('--token <token>', 'where nodes ask for one; rather than here, give it as').env('KV_TOKEN'),
    )
    .addOption(
      new Option('--ca <file>', 'who vouches for the nodes, in PEM; endpoints are https then').env('KV_CA'),
    )
    .addOption(new Option('--cert <file>', 'a certificate to show, in PEM').env('KV_CERT'))
    .addOption(new Option('--key <file>', 'its key, in PEM').env('KV_KEY'))
    .addHelpText(
      'after',
      `
Examples:
  kv set greeting hello            store a value
  kv get greeting                  print it
  kv --endpoints n1:8080,n2:8080 status
  kv list users/
  kv watch --prefix users/
  kv export backup.jsonl && kv import backup.jsonl
  kv                               a prompt

Exit codes: 0 done, 1 error, 2 key not found.`,
    );

  const run: Run = async (command, body, timeoutMs) => {
    const options = command.optsWithGlobals<GlobalOptions>();
    finish(await withContext(options, signal, timeoutMs, body));
  };
  addGet(program, run);
  addSet(program, run);
  addDelete(program, run);
  addList(program, run);
  addWatch(program, run);
  addTxn(program, run);
  addImport(program, run);
  addExport(program, run);
  addBackup(program, run);
  addStatus(program, run);
  addMembers(program, run);
  addCompletion(program, finish);
  addPrompt(program, run);
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
    .option('--ttl <duration>', 'let it expire after so long, such as 90s or 2h', parseDuration)
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
  kv set lock me --if-absent --ttl 30s
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
    .addOption(
      new Option('--prefix', 'all keys that begin with <key>, atomically; prints how many').conflicts(
        'ifRevision',
      ),
    )
    .addHelpText(
      'after',
      `
Examples:
  kv delete greeting
  kv delete lock --if-revision 17
  kv delete --prefix users/`,
    )
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

function addList(program: Command, run: Run): void {
  program
    .command('list')
    .description('Print entries in the order of the keys’ bytes.')
    .argument('[prefix]', 'only keys that begin with this')
    .option('--start <key>', 'from this key on')
    .option('--end <key>', 'before this key')
    .option('--limit <n>', 'so many at most', parseCount)
    .option('--reverse', 'from the last one to the first')
    .option('--keys-only', 'without the values')
    .addHelpText(
      'after',
      `
Examples:
  kv list users/
  kv list --keys-only | wc -l
  kv list logs/ --reverse --limit 10 --output json`,
    )
    .action((prefix: string | undefined, flags: ListFlags, command: Command) =>
      run(command, (context) => list(context, prefix, flags)),
    );
}

function addWatch(program: Command, run: Run): void {
  program
    .command('watch')
    .description('Print the changes of a key as they happen, until Ctrl-C. Goes on over the loss of nodes.')
    .argument('<key>')
    .option('--prefix', 'of all keys that begin with <key>')
    .option('--from-revision <revision>', 'begin with this revision')
    .option('--limit <n>', 'end after so many changes', parseCount)
    .addHelpText(
      'after',
      `
Examples:
  kv watch greeting
  kv watch --prefix users/ --output json
  kv watch greeting --from-revision 17`,
    )
    .action((key: string, flags: WatchFlags, command: Command) =>
      run(command, (context) => watch(context, key, flags)),
    );
}

function addTxn(program: Command, run: Run): void {
  program
    .command('txn')
    .description(
      'Carry out checks and writes together or not at all. Exits with 1 when a check does not hold.',
    )
    .argument(
      '<json>',
      '{"checks": [{"key", "revision"}], "ops": [{"op": "set"|"delete", …}]}; - reads standard input',
    )
    .addHelpText(
      'after',
      `
Examples:
  kv txn '{"checks": [{"key": "a", "revision": null}], "ops": [{"op": "set", "key": "a", "value": "1"}]}'
  kv txn - < transfer.json`,
    )
    .action((json: string, _flags: object, command: Command) =>
      run(command, (context) => txn(context, json)),
    );
}

function addImport(program: Command, run: Run): void {
  program
    .command('import')
    .description(
      'Load JSON lines: {"key": "...", "value": "..."} or {"key": "...", "valueBase64": "..."}, and "ttlMs";\n' +
        'or CSV with these columns. Goes on by itself when the leader changes.\n' +
        'Nobody else may write these keys meanwhile.',
    )
    .argument('<file>', 'the file; - reads standard input')
    .option('--concurrency <n>', 'writes at a time', parseConcurrency, CONCURRENCY_DEFAULT)
    .addOption(formatOption())
    .addHelpText(
      'after',
      `
Examples:
  kv import backup.jsonl
  kv import people.csv
  zcat backup.jsonl.gz | kv import -
  kv import big.jsonl --concurrency 64 --timeout 5m`,
    )
    .action((file: string, flags: ImportFlags, command: Command) =>
      run(command, (context) => importFile(context, file, flags), IMPORT_TIMEOUT_MS),
    );
}

function addExport(program: Command, run: Run): void {
  program
    .command('export')
    .description('Write all entries as JSON lines or CSV, in the order of the keys, as kv import reads them.')
    .argument('[file]', 'the file; - writes to standard output', '-')
    .option('--prefix <text>', 'only keys that begin with this')
    .option('--stale', 'what the node itself has, at once: the same as --consistency stale')
    .addOption(formatOption())
    .addHelpText(
      'after',
      `
Examples:
  kv export backup.jsonl
  kv export people.csv --prefix people/
  kv export --prefix users/ | gzip > users.jsonl.gz
  kv export --stale --endpoints n2:8080    what node n2 holds`,
    )
    .action((file: string, flags: ExportFlags, command: Command) =>
      run(command, (context) => exportFile(context, file, flags)),
    );
}

function formatOption(): Option {
  return new Option('--format <format>', 'default: csv for a file named .csv, else jsonl').choices(
    FILE_FORMATS,
  );
}

function addCompletion(program: Command, finish: (exitCode: number) => void): void {
  program
    .command('completion')
    .description('Print a script that lets the shell complete commands and options.')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText(
      'after',
      `
Examples:
  source <(kv completion bash)     in ~/.bashrc
  source <(kv completion zsh)      in ~/.zshrc, after compinit`,
    )
    .action(async (shell: Shell) => {
      await write(process.stdout, completionScript(program, shell));
      finish(EXIT.done);
    });
}

/** Without a command there is the prompt. A word that is no command must not end up there. */
function addPrompt(program: Command, run: Run): void {
  program
    .allowExcessArguments()
    .argument('[command]')
    .action((word: string | undefined, _flags: object, command: Command) => {
      if (word === undefined) return run(command, prompt);
      const names = program.commands.map((known) => known.name());
      const near = closest(word, names);
      const hint = distance(word, near) <= 2 ? `\n(Did you mean ${near}?)` : '';
      return command.error(`error: unknown command '${word}'${hint}`);
    });
}

function parseList(text: string): string[] {
  const list = text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
  if (list.length === 0) throw new InvalidArgumentError('Name at least one node.');
  return list;
}

function parseCount(text: string): number {
  const n = Number(text);
  if (Number.isSafeInteger(n) && n >= 1) return n;
  throw new InvalidArgumentError('Give a positive whole number.');
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
