import test from 'ava';
import fc from 'fast-check';
import { hostname } from 'node:os';
import {
  formatAddress,
  isEveryInterface,
  parseAddress,
  reachableAddress,
  readAddress,
} from '../../configs/address.js';

const problem = (value: unknown) => {
  const reading = readAddress(value);
  return reading.ok ? undefined : reading.problem;
};

test('addresses are taken apart', (t) => {
  t.deepEqual(parseAddress('127.0.0.1:8080'), { host: '127.0.0.1', port: 8080 });
  t.deepEqual(parseAddress(':8080'), { host: undefined, port: 8080 });
  t.deepEqual(parseAddress('[::1]:80'), { host: '::1', port: 80 });
  t.deepEqual(parseAddress('kv_node-1.internal:0'), { host: 'kv_node-1.internal', port: 0 });
  t.deepEqual(parseAddress('localhost:65535'), { host: 'localhost', port: 65_535 });
});

test('a bad address says how to write it', (t) => {
  t.is(
    problem('http://localhost:8080'),
    '"http://localhost:8080" is not an address; leave the scheme and the path off: write "host:port"',
  );
  t.is(problem('::1'), '"::1" is not an address; put an IPv6 address in brackets: "[::1]:8080"');
  t.is(problem('localhost'), '"localhost" is not an address; the port is missing: write "localhost:8080"');
  t.is(
    problem(8080),
    '8080 is not an address; write ":8080" for port 8080 on every interface, or "host:8080"',
  );
  t.is(problem('h:65536'), '"h:65536" has no valid port; give one from 0 to 65535');
  const usage = 'is not an address; write "host:port", ":port" for every interface, or "[IPv6]:port"';
  for (const text of [
    '',
    ':',
    'h:',
    'h:-1',
    'h:1.5',
    '*:80',
    'a b:1',
    '300.1.1.1:80',
    '[1.2.3.4]:1',
    '[::1',
    'h:1:2',
  ]) {
    t.is(problem(text), `${JSON.stringify(text)} ${usage}`);
  }
  t.is(problem(null), `null ${usage}`);
  t.throws(() => parseAddress('nonsense:'), { instanceOf: RangeError });
});

test('hosts that mean every interface', (t) => {
  for (const host of [undefined, '0.0.0.0', '::', '0:0:0:0:0:0:0:0']) t.true(isEveryInterface(host), host);
  for (const host of ['127.0.0.1', '::1', 'localhost', '0.0.0.1', '1::'])
    t.false(isEveryInterface(host), host);
});

test('an open host becomes the name of the machine', (t) => {
  t.is(reachableAddress(':8080'), `${hostname()}:8080`);
  t.is(reachableAddress('0.0.0.0:8080'), `${hostname()}:8080`);
  t.is(reachableAddress('[::]:8080'), `${hostname()}:8080`);
  t.is(reachableAddress('10.0.0.1:8080'), '10.0.0.1:8080');
  t.is(reachableAddress('[::1]:0'), '[::1]:0');
});

test('property: what is formatted is taken apart into the same', (t) => {
  const host = fc.oneof(fc.constant(undefined), fc.ipV4(), fc.ipV6(), fc.domain());
  fc.assert(
    fc.property(host, fc.nat(65_535), (name, port) => {
      const address = parseAddress(formatAddress({ host: name, port }));
      return address.host === name && address.port === port;
    }),
  );
  t.pass();
});
