/** The load of one run by autocannon, in a process of its own: what the file that BENCH_LOAD names says. */

import { readFileSync } from 'node:fs';
import autocannon from 'autocannon';
import { loadFile } from './load.js';
import { fill } from './systems.js';
import { randomKey } from './workloads.js';

const load = loadFile.parse(JSON.parse(readFileSync(process.env['BENCH_LOAD'] ?? '', 'utf8')));

const result = await autocannon({
  url: load.targets.map((target) => `http://${target}`),
  connections: load.connections,
  duration: load.seconds,
  timeout: 10,
  requests: [
    {
      setupRequest(request) {
        const { body, ...form } = Math.random() * 100 < load.readPercent ? load.get : load.put;
        return {
          ...request,
          ...fill(load, { ...form, ...(body !== undefined && { body }) }, randomKey(load)),
        };
      },
    },
  ],
});
const { duration, errors, non2xx, requests, latency, throughput } = result;
const measured = {
  requests: requests.total,
  seconds: duration,
  p50Ms: latency.p50,
  p99Ms: latency.p99,
  errors: errors + non2xx,
  bytes: throughput.total,
};
process.stdout.write(`${JSON.stringify(measured)}\n`);
