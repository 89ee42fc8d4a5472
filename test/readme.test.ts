/** Everything that the README shows is run, against three real nodes that its own `npm start` started. */

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import { PATHS } from '../api/paths.js';
import { ROOT } from '../bench/cluster.js';
import { loadConfig } from '../configs/load.js';
import { freePorts } from './integration/ports.js';
import { blocksOf, matches, stepsOf } from './readme-blocks.js';

const UP_MS = 90_000;
const COMMAND_MS = 30_000;

const readme = readFileSync(path.join(ROOT, 'README.md'), 'utf8');
const blocks = blocksOf(readme);
const manifest = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
  readonly bin: Readonly<Record<string, string>>;
};

/** Pictures; nothing in them can be run. */
const PICTURES = ['mermaid'];

test('every block is of a kind that is checked here', (t) => {
  const checked = ['sh', 'ts', 'yaml', ...PICTURES];
  for (const { language, line } of blocks) {
    t.true(checked.includes(language), `README.md:${line}: nothing checks a block of "${language}"`);
  }
  for (const language of ['sh', 'ts', 'yaml']) t.true(blocks.some((block) => block.language === language));
});

test('the commands of npm exist, and npm start runs what is tested here', (t) => {
  const names = [...readme.matchAll(/`npm (?:run )?([a-z:]+)[^`]*`/g)].map((match) => match[1] ?? '');
  t.true(names.includes('start'));
  for (const name of names) t.not(manifest.scripts[name], undefined, `npm run ${name}`);
  t.regex(manifest.scripts['start'] ?? '', /(?:^|\s)node scripts\/run\.mjs dist\/scripts\/cluster\.js$/);
});

test('links in the documents lead somewhere', (t) => {
  const decisions = readdirSync(path.join(ROOT, 'docs/decisions')).map((name) => `docs/decisions/${name}`);
  const documents = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs/ARCHITECTURE.md', ...decisions];
  for (const document of documents) {
    const text = readFileSync(path.join(ROOT, document), 'utf8');
    for (const [, link = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link)) continue;
      const [file = '', heading] = link.split('#');
      const target = file === '' ? document : path.join(path.dirname(document), file);
      t.true(existsSync(path.join(ROOT, target)), `${document}: ${link}`);
      if (heading !== undefined) t.true(headingsOf(target).includes(heading), `${document}: ${link}`);
    }
  }
});

/** The names by which links know the headings of a document. */
function headingsOf(document: string): readonly string[] {
  const text = readFileSync(path.join(ROOT, document), 'utf8');
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

test('every path for clients is described', (t) => {
  for (const route of Object.values(PATHS)) if (route !== PATHS.rpc) t.true(readme.includes(route), route);
});

test('the configuration files shown are valid', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'quorumkv-readme-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  for (const { language, text, line } of blocks) {
    if (language !== 'yaml') continue;
    const file = path.join(folder, `line-${line}.yaml`);
    writeFileSync(file, text);
    t.is(loadConfig(file, {}).raft.nodeID, 'node1');
  }
});

test('the single node without a file has valid options', (t) => {
  const shown = [...readme.matchAll(/`npx kv-server (--id [^`]+)`/g)].map((match) => match[1] ?? '');
  t.true(shown.length > 0);
  for (const options of shown) {
    const server = path.join(ROOT, manifest.bin['kv-server'] ?? '');
    const { status, stderr } = spawnSync(process.execPath, [server, ...options.split(' '), '--check'], {
      encoding: 'utf8',
    });
    t.is(status, 0, stderr);
  }
});

test('the commands and snippets do what they show', async (t) => {
  t.timeout(4 * UP_MS);
  const place = await prepare();
  t.teardown(() => rmSync(place.folder, { recursive: true, force: true }));
  const launcher = await launch(place);
  t.teardown(() => launcher.stop());

  for (const { language, text, line } of blocks) {
    const where = `README.md:${line}`;
    if (language === 'sh') {
      for (const { command, shown } of stepsOf(text)) {
        const output = await runInShell(place, command);
        t.is(output.code, 0, `${where}: ${command}: ${output.stderr}`);
        if (shown !== undefined) checkLines(t, `${where}: ${command}`, shown, output.stdout);
      }
    } else if (language === 'ts') {
      const file = path.join(place.folder, `line-${line}.ts`);
      writeFileSync(file, place.here(text));
      const compiled = await run(process.execPath, [compiler(), '-p', place.folder], place);
      t.is(compiled.code, 0, `${where}: ${compiled.stdout}`);
      const output = await run(process.execPath, [file.replace(/ts$/, 'js')], place);
      t.is(output.code, 0, `${where}: ${output.stderr}`);
      const shown = [...text.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm)].map((match) => match[1] ?? '');
      checkLines(t, where, shown, output.stdout);
    }
  }

  t.is(await launcher.stop(), 0, 'npm start ends with exit code 0');
  for (const id of ['node1', 'node2', 'node3']) {
    t.true(launcher.output().includes(`${id} stopped (exit code 0)`), launcher.output());
  }
});

interface Place {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly configFiles: readonly string[];
  /** The text with the addresses of the three nodes instead of the documented ones. */
  readonly here: (text: string) => string;
}

/** A folder with what the README takes for granted, and free ports for its 8080 to 8102. */
async function prepare(): Promise<Place> {
  const folder = mkdtempSync(path.join(tmpdir(), 'quorumkv-readme-'));
  const documented = [8080, 8081, 8082, 8090, 8091, 8092, 8100, 8101, 8102];
  const free = await freePorts(documented.length);
  const here = (text: string): string =>
    text.replace(/\b(?:localhost|127\.0\.0\.1):(\d{4})\b/g, (address, port: string) => {
      const at = documented.indexOf(Number(port));
      return at < 0 ? address : `127.0.0.1:${free[at] ?? 0}`;
    });
  const configFiles = [1, 2, 3].map((number) => {
    const file = path.join(folder, `config${number}.yaml`);
    writeFileSync(file, here(readFileSync(path.join(ROOT, `configs/config${number}.yaml`), 'utf8')));
    return file;
  });
  for (const name of ['node_modules', 'configs']) symlinkSync(path.join(ROOT, name), path.join(folder, name));
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  const options = { composite: false, incremental: false, declaration: false, sourceMap: false };
  writeFileSync(
    path.join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: path.join(ROOT, 'tsconfig.base.json'),
      compilerOptions: options,
      files: [],
      include: ['*.ts'],
    }),
  );
  // What this process was started with must not reach the nodes.
  const { PATH, HOME } = process.env;
  const endpoints = [8080, 8090, 8100].map((port) => here(`localhost:${port}`)).join(',');
  return { folder, configFiles, here, env: { PATH, HOME, KV_ENDPOINTS: endpoints } };
}

function compiler(): string {
  return path.join(ROOT, 'node_modules/typescript/bin/tsc');
}

interface Launcher {
  readonly output: () => string;
  /** As Ctrl-C does; the exit code. */
  readonly stop: () => Promise<number | null>;
}

/** What `npm start` does, with other files; resolves when the cluster is up. */
async function launch(place: Place): Promise<Launcher> {
  // It would install anew, under the feet of every test that runs beside this one.
  const prepareScript: unknown = await import(pathToFileURL(path.join(ROOT, 'scripts/prepare.mjs')).href);
  const reason = (prepareScript as { installReason: () => string | undefined }).installReason();
  if (reason !== undefined) throw new Error(`run npm install first: ${reason}`);

  const script = path.join(ROOT, 'scripts/run.mjs');
  const child = spawn(process.execPath, [script, 'dist/scripts/cluster.js', ...place.configFiles], {
    cwd: place.folder,
    env: place.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  // However this test ends, the nodes do not outlive it.
  process.once('exit', () => child.kill('SIGTERM'));
  const stop = async (): Promise<number | null> => {
    if (isRunning(child)) {
      child.kill('SIGINT');
      await once(child, 'exit');
    }
    return child.exitCode;
  };
  const up = new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`npm start is not up in time:\n${output}`)), UP_MS);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        if (!output.includes('The cluster is up')) return;
        clearTimeout(late);
        resolve();
      });
    }
    child.once('exit', () => {
      clearTimeout(late);
      reject(new Error(`npm start ended:\n${output}`));
    });
  });
  try {
    await up;
  } catch (error) {
    await stop();
    throw error;
  }
  return { output: () => output, stop };
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

interface Output {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One line of a shell block. `npx` would ask the registry; the package's own commands are what it finds. */
async function runInShell(place: Place, command: string): Promise<Output> {
  const bins = Object.entries(manifest.bin).map(
    ([name, file]) => `${name}) shift; "${process.execPath}" "${path.join(ROOT, file)}" "$@";;`,
  );
  const npx = `npx() { case "$1" in ${bins.join(' ')} *) echo "there is no command $1" >&2; return 127;; esac; }`;
  return run('bash', ['-c', `${npx}\n${place.here(command)}`], place);
}

async function run(command: string, args: readonly string[], { folder, env }: Place): Promise<Output> {
  const child = spawn(command, args, {
    cwd: folder,
    env,
    timeout: COMMAND_MS,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  await once(child, 'close');
  return { code: child.exitCode, stdout, stderr };
}

function checkLines(
  t: {
    is(actual: number, expected: number, message: string): unknown;
    true(actual: boolean, message: string): unknown;
  },
  where: string,
  shown: readonly string[],
  stdout: string,
): void {
  const lines = stdout.trim().split('\n');
  t.is(lines.length, shown.length, `${where}: printed\n${stdout}`);
  for (const [at, line] of shown.entries()) {
    t.true(matches(line, lines[at] ?? ''), `${where}: shows\n${line}\nprinted\n${lines[at] ?? ''}`);
  }
}
