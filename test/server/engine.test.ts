import { existsSync } from 'node:fs';
import test from 'ava';
import { ENGINE_NAMES } from '../../persistence/engine.js';
import { probe } from '../../persistence/load-engine.js';
import { kvServer, ready, seedFile, temporaryDirectory } from './process.js';

const withEngine = (engine: string): string => `storage: { engine: ${engine} }\n`;

for (const engine of ENGINE_NAMES) {
  test.serial(
    `a node on ${engine} keeps what it was given, and its directory is no other engine's`,
    async (t) => {
      if ((await probe(engine)) !== undefined) {
        t.pass(`${engine} does not load under this Node; the test below is about that`);
        return;
      }
      const directory = temporaryDirectory(t);
      const { file, url, dataDir } = await seedFile(directory, withEngine(engine));
      for (let round = 0; round < 2; round += 1) {
        const server = kvServer(t, ['--config', file]);
        await Promise.race([ready(url), server.exit]);
        if (round === 0)
          t.true(
            (
              await fetch(`${url}/kv/a`, {
                method: 'PUT',
                headers: { 'Content-Type': 'application/octet-stream' },
                body: 'one',
              })
            ).ok,
          );
        const found = await fetch(`${url}/kv/a`, { headers: { Accept: 'application/octet-stream' } });
        t.is(await found.text(), 'one');
        server.kill('SIGTERM');
        t.is((await server.exit).code, 0);
      }
      const [other] = ENGINE_NAMES.filter((name) => name !== engine);
      const { file: changed } = await seedFile(directory, withEngine(other ?? ''));
      const { code, complaints } = await kvServer(t, ['--config', changed]).exit;
      t.true(existsSync(dataDir));
      t.is(complaints.length, 1);
      // Where the other one can't be loaded either, that is said first.
      if (code === 1) t.regex(complaints[0]!, /can't be loaded/);
      else {
        t.is(code, 2);
        t.regex(complaints[0]!, new RegExp(`engine ${engine}, not ${other}: correct storage\\.engine`));
      }
    },
  );
}

test.serial(
  'an engine that does not load is told in one line with the remedy, and nothing is made',
  async (t) => {
    const directory = temporaryDirectory(t);
    const { file, dataDir } = await seedFile(directory, withEngine('rocksdb'));
    if ((await probe('rocksdb')) === undefined) {
      t.pass('it loads under this Node; `npm run test:nodes` has others');
      return;
    }
    const { code, signal, complaints } = await kvServer(t, ['--config', file]).exit;
    t.is(code, 1);
    t.is(signal, null);
    t.is(complaints.length, 1);
    t.regex(
      complaints[0]!,
      /^kv-server: storage\.engine: rocksdb can't be loaded under Node v\S+ on \S+: .*SIGABRT/,
    );
    t.regex(complaints[0]!, /set storage\.engine: classic-level/);
    t.false(existsSync(dataDir));
  },
);
