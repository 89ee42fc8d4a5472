/**
 * `npm run check:packages`: both packages, as npm would publish them, installed into a blank project and used from
 * there: by import and by require, from TypeScript and from plain JavaScript. Needs the registry, for what they depend on.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensureBuilt, ensureInstalled, npmCommand, ROOT } from './prepare.mjs';

const READY_MS = 20_000;

const IMPORT = `import { KVClient, KVError } from 'quorumkv-client';
import { KeyvQuorum } from 'quorumkv-client/keyv';
`;
const REQUIRE = `const { KVClient, KVError } = require('quorumkv-client');
const { KeyvQuorum } = require('quorumkv-client/keyv');
`;
const BODY = `
async function main() {
  const kv = new KVClient(process.env.KV_ENDPOINTS ?? '');
  await kv.set('greeting', 'hello');
  const failure = await kv.set('greeting', 'again', { ifAbsent: true }).catch((error: unknown) => error);
  const keyv = new KeyvQuorum(process.env.KV_ENDPOINTS ?? '');
  await keyv.set('k', 'v');
  console.log(await kv.get('greeting'), failure instanceof KVError && failure.code, await keyv.get('k'));
  await keyv.disconnect();
  await kv.close();
}
void main();
`;
const PLAIN = BODY.replace(': unknown', '');
const FILES = {
  'plain.mjs': IMPORT + PLAIN,
  'plain.cjs': REQUIRE + PLAIN,
  'typed.mts': IMPORT + BODY,
  'typed.cts': IMPORT + BODY,
};
const TSCONFIG = {
  compilerOptions: {
    target: 'ES2022',
    lib: ['ES2022'],
    module: 'NodeNext',
    strict: true,
    skipLibCheck: false,
    types: ['node'],
    outDir: 'out',
  },
  files: ['typed.mts', 'typed.cts'],
};

function run(folder, command, env = {}) {
  const [file, ...args] = command;
  return execFileSync(file, args, { cwd: folder, encoding: 'utf8', env: { ...process.env, ...env } });
}

function check(what, actual, expected) {
  if (actual.trim() !== expected) throw new Error(`${what}: printed ${actual}, expected ${expected}`);
  console.log(`ok ${what}`);
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function ready(address) {
  const deadline = Date.now() + READY_MS;
  while (Date.now() < deadline) {
    const answer = await fetch(`http://${address}/readyz`).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the installed server is not ready in time');
}

/** With the cache of npm first: what the repository itself depends on is in it. */
function install(folder, tarballs) {
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ private: true }));
  // rocksdb needs its install script.
  run(
    folder,
    npmCommand(['install', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error', ...tarballs]),
  );
}

async function use(folder) {
  const address = `127.0.0.1:${await freePort()}`;
  const bin = (name) => path.join(folder, 'node_modules/.bin', name);
  const options = ['--id', 'n1', '--listen', address, '--data-dir', path.join(folder, 'data')];
  const server = spawn(bin('kv-server'), options, { cwd: folder, stdio: 'ignore' });
  try {
    await ready(address);
    const env = { KV_ENDPOINTS: address };
    for (const [name, text] of Object.entries(FILES)) writeFileSync(path.join(folder, name), text);
    writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(TSCONFIG));
    const types = path.join(ROOT, 'node_modules/@types');
    run(folder, [process.execPath, path.join(ROOT, 'node_modules/typescript/bin/tsc'), '--typeRoots', types]);
    for (const file of ['plain.mjs', 'plain.cjs', 'out/typed.mjs', 'out/typed.cjs']) {
      run(folder, [bin('kv'), 'delete', 'greeting', '--prefix'], env);
      check(file, run(folder, [process.execPath, file], env), 'hello revision-mismatch v');
    }
    check('kv', run(folder, [bin('kv'), 'get', 'greeting'], env), 'hello');
  } finally {
    server.kill('SIGTERM');
    await new Promise((resolve) => server.once('exit', resolve));
  }
}

await ensureInstalled();
await ensureBuilt();
const folder = mkdtempSync(path.join(tmpdir(), 'quorumkv-packages-'));
try {
  const packed = path.join(folder, 'packed');
  const blank = path.join(folder, 'blank');
  for (const one of [packed, blank]) mkdirSync(one);
  const names = run(
    ROOT,
    npmCommand([
      'pack',
      '--silent',
      '--pack-destination',
      packed,
      '--workspaces',
      '--include-workspace-root',
    ]),
  );
  const tarballs = names
    .trim()
    .split('\n')
    .map((name) => path.join(packed, name));
  install(blank, tarballs);
  console.log('ok both packages install');
  await use(blank);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
