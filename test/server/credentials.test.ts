import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { ConfigError } from '../../configs/problem.js';
import { readCredentials } from '../../server/credentials.js';
import { certificates } from '../integration/certificates.js';

const NO_TLS = { certFile: '', keyFile: '', caFile: '' };
const NO_AUTH = { clients: [], peerSecret: '' };

test('files that are no certificate, no key of it or not there are refused by their key', async (t) => {
  const { certFile, keyFile, caFile } = await certificates(t);
  const other = await certificates(t);
  const folder = mkdtempSync(path.join(tmpdir(), 'quorumkv-pem-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const junk = path.join(folder, 'junk.pem');
  writeFileSync(junk, 'junk');
  const source = 'F';
  const good = { certFile, keyFile, caFile };
  t.is(readCredentials({ source, auth: NO_AUTH, tls: good }).tls?.ca?.length !== 0, true);
  for (const [key, tls] of [
    ['certFile', { ...good, certFile: path.join(folder, 'none.pem') }],
    ['keyFile', { ...good, keyFile: path.join(folder, 'none.pem') }],
    ['certFile', { ...good, keyFile: other.keyFile }],
    ['certFile', { ...good, certFile: junk }],
    ['caFile', { ...good, caFile: junk }],
  ] as const) {
    const error = t.throws(() => readCredentials({ source, auth: NO_AUTH, tls }), {
      instanceOf: ConfigError,
    });
    t.is(error.problems.length, 1);
    t.true(error.problems[0]?.startsWith(`F: tls.${key}: `), error.message);
  }
});

test('where nothing is set there is nothing to show', (t) => {
  const none = readCredentials({ source: 'F', auth: NO_AUTH, tls: NO_TLS });
  t.deepEqual(none, { tls: undefined, peerSecret: undefined });
});
