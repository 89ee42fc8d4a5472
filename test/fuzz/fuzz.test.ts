import test from 'ava';

import { startCluster } from '../integration/cluster.js';
import { FUZZED, fuzz } from './fuzz.js';

test('some thousand random requests: no 500, no crash, nothing stored that was refused', async (t) => {
  t.timeout(120_000);
  const cluster = await startCluster(t, FUZZED);
  const report = await fuzz({ cluster, requests: 3000, seed: 1 });
  t.true(cluster.isRunning('n1'));
  for (const status of [200, 201, 204, 400, 403, 404, 405, 409, 412, 415])
    t.true((report.byStatus[status] ?? 0) > 0, `no ${status}: ${JSON.stringify(report.byStatus)}`);
  for (const code of [-32700, -32600, -32601, -32602])
    t.true((report.rpcByCode[code] ?? 0) > 0, `no ${code}: ${JSON.stringify(report.rpcByCode)}`);
  t.true(report.storedTokens > 20, 'little was stored');
  t.true(report.refusedTokens > 100, 'little was refused');
});
