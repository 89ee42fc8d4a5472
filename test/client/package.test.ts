/** The package as its users meet it: from CommonJS, and from TypeScript with nothing but `lib: ES2022`. */

import { execFile } from 'node:child_process';
import { mkdtemp, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import type { AbortSignalLike } from 'quorumkv-client';

const run = promisify(execFile);

/** A directory of its own that has the built package in its `node_modules`. */
async function consumer(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'kv-consumer-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  await mkdir(join(directory, 'node_modules'));
  await symlink(resolve('client'), join(directory, 'node_modules', 'quorumkv-client'));
  return directory;
}

test('require and import give the same', async (t) => {
  const directory = await consumer(t);
  const file = join(directory, 'main.cjs');
  await writeFile(
    file,
    `const { KVClient, KVError } = require('quorumkv-client');
     import('quorumkv-client').then(async (esm) => {
       const kv = new KVClient('localhost:1');
       await kv.close();
       const error = await kv.get('k').catch((e) => e);
       console.log(esm.KVClient === KVClient, error instanceof KVError, error.name, error.code);
     });`,
  );
  const { stdout } = await run(process.execPath, [file]);
  t.is(stdout.trim(), 'true true ClosedError closed');
});

test('its types compile under lib ES2022 without any others, library checks included', async (t) => {
  const directory = await consumer(t);
  const source = `
    import { KVClient, codecs, ConflictError, type KVEntry, type KVClientOptions } from 'quorumkv-client';
    interface User { name: string }
    const text = new KVClient(['http://localhost:8080']);
    const users = new KVClient({ endpoints: 'localhost:8080', codec: codecs.json<User>() });
    export async function main(): Promise<string> {
      const value: string | undefined = await text.get('k', { consistency: 'stale', timeoutMs: 5 });
      const entry: KVEntry<User> | undefined = await users.getEntry('k');
      const { revision } = await users.set('k', { name: 'x' }, { ifAbsent: true });
      // @ts-expect-error the codec is for users
      await users.set('k', 'text');
      // @ts-expect-error there is no such option
      await text.set('k', 'v', { ttl: 5 });
      for await (const { key } of text.list({ prefix: 'a' })) void key;
      const members: number = (await text.cluster.status()).members.length;
      const options: KVClientOptions<Uint8Array> = { endpoints: 'h:1', codec: codecs.bytes, timeoutMs: undefined };
      await using other = new KVClient(options);
      const bytes: Uint8Array | undefined = await other.get('k');
      const many: (string | undefined)[] = await text.getMany(['a', 'b'] as const);
      const removed: number = await text.deletePrefix('a/');
      const done = await users.namespace('u/').atomic().check('a', null).set('a', { name: 'x' }).delete('b').commit();
      const result: string | readonly string[] = done.ok ? done.revision : done.failed;
      // @ts-expect-error there is a revision only when it was committed
      void done.revision;
      // @ts-expect-error a check needs a revision, or null
      users.atomic().check('a');
      for await (const event of users.watch({ prefix: 'u/' }, { fromRevision: '1' })) {
        if (event.type === 'put') void event.value.name;
        // @ts-expect-error what was deleted has no value
        else void event.value;
      }
      // @ts-expect-error a watch is of something
      void text.watch({});
      await using lock = await text.lock('l', { ttlMs: 500, waitMs: 0 });
      const isLost: boolean = lock.signal.aborted;
      const change = await text.cluster.addMember({ id: 'n', raft: 'h:1', rpc: 'h:2', http: 'h:3' });
      const waitingFor: string | undefined = change.done ? undefined : change.waitingFor;
      void [many, removed, result, isLost, lock.token, waitingFor];
      const conflict = (error: unknown) => error instanceof ConflictError ? error.currentRevision : undefined;
      return [value, entry?.value.name, revision, members, bytes?.length, conflict(undefined)].join();
    }`;
  await writeFile(join(directory, 'main.mts'), source);
  const compilerOptions = {
    target: 'ES2022',
    lib: ['ES2022'],
    types: [],
    module: 'NodeNext',
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true,
  };
  await writeFile(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['main.mts'] }));
  const tsc = resolve('node_modules/typescript/bin/tsc');
  const output = await run(process.execPath, [tsc, '-p', directory]).then(
    () => '',
    (error: unknown) => (error as { stdout: string }).stdout,
  );
  t.is(output, '');
});

const output = async (tool: string, ...args: string[]) =>
  run(process.execPath, [resolve('node_modules', tool), ...args]).then(
    () => '',
    (error: unknown) => {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      return stdout + stderr;
    },
  );

// `npm run check:packages` does more, and takes longer: it installs the packages and uses them.
test('publint finds nothing', async (t) => {
  t.is(await output('publint/src/cli.js', 'client', '--strict'), '');
});

test('arethetypeswrong finds nothing, but that require gets an ES module, which Node.js loads', async (t) => {
  const args = ['--pack', 'client', '--profile', 'node16', '--ignore-rules', 'cjs-resolves-to-esm'];
  t.is(await output('@arethetypeswrong/cli/dist/index.js', ...args), '');
});

test('an AbortSignal of Node.js fits the option', (t) => {
  const signal: AbortSignalLike = new AbortController().signal;
  t.false(signal.aborted);
});
