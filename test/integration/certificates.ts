/** Certificates for clusters of this machine, made anew each time. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import type { ExecutionContext } from 'ava';
import { generate } from 'selfsigned';

export interface Certificates {
  readonly ca: string;
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

const KEYS = { keyType: 'ec', algorithm: 'sha256' } as const;

/** An authority, and a certificate of it for 127.0.0.1; the files go with the test. */
export async function certificates(t: ExecutionContext): Promise<Certificates> {
  const folder = mkdtempSync(path.join(tmpdir(), 'quorumkv-tls-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const authority = await generate([{ name: 'commonName', value: 'authority' }], {
    ...KEYS,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  const node = await generate([{ name: 'commonName', value: 'node' }], {
    ...KEYS,
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true },
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
    ],
  });
  const files = { ca: authority.cert, cert: node.cert, key: node.private };
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(folder, `${name}.pem`), text);
  return {
    ca: authority.cert,
    caFile: path.join(folder, 'ca.pem'),
    certFile: path.join(folder, 'cert.pem'),
    keyFile: path.join(folder, 'key.pem'),
  };
}
