/** The load of one run by autocannon, in a process of its own. Arguments: connections, seconds; the rest as `load.lua`. */

import autocannon from 'autocannon';
import { WORKLOADS, randomRequest } from './workloads.js';

const [connections = 0, seconds = 0] = process.argv.slice(2).map(Number);
const { BENCH_WORKLOAD, BENCH_KEYS, BENCH_VALUE = '', BENCH_TARGETS = '' } = process.env;
const workload = WORKLOADS.find((name) => name === BENCH_WORKLOAD);
if (workload === undefined) throw new Error(`there is no workload ${BENCH_WORKLOAD ?? ''}`);
const data = { keys: Number(BENCH_KEYS), value: BENCH_VALUE };

const result = await autocannon({
  url: BENCH_TARGETS.split(',').map((target) => `http://${target}`),
  connections,
  duration: seconds,
  timeout: 10,
  requests: [{ setupRequest: (request) => ({ ...request, ...randomRequest(workload, data) }) }],
});
const { duration, errors, non2xx, requests, latency } = result;
const measured = {
  requests: requests.total,
  seconds: duration,
  p50Ms: latency.p50,
  p99Ms: latency.p99,
  errors: errors + non2xx,
};
process.stdout.write(`${JSON.stringify(measured)}\n`);
