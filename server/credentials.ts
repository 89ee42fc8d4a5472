/** What a node shows to the others, and what it asks of them: read once, when it starts. */

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { Config } from '../configs/config.js';
import { ConfigError } from '../configs/problem.js';

/** Certificate and key of this node, in PEM, and who vouches for the others. */
export interface NodeTls {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Undefined: whom the system trusts; then nodes are not asked for a certificate. */
  readonly ca: Buffer | undefined;
}

export interface Credentials {
  /** Undefined: nothing is encrypted. */
  readonly tls: NodeTls | undefined;
  /** Undefined: nodes show nothing to each other. */
  readonly peerSecret: string | undefined;
}

/** Of a node that neither has nor asks for any. */
export const NO_CREDENTIALS: Credentials = Object.freeze({ tls: undefined, peerSecret: undefined });

/** @throws ConfigError when a file can't be read, or is no certificate, or none with this key */
export function readCredentials({ auth, tls, source }: Pick<Config, 'auth' | 'tls' | 'source'>): Credentials {
  const peerSecret = auth.peerSecret === '' ? undefined : auth.peerSecret;
  if (tls.certFile === '') return { tls: undefined, peerSecret };
  const read = (key: 'certFile' | 'keyFile' | 'caFile'): Buffer => {
    try {
      return readFileSync(tls[key]);
    } catch (error) {
      throw refusal(source, key, `can't read ${tls[key]}: ${messageOf(error)}; correct the path`);
    }
  };
  const cert = read('certFile');
  const key = read('keyFile');
  const ca = tls.caFile === '' ? undefined : read('caFile');
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const why = `${tls.certFile} is no certificate for the key in ${tls.keyFile}: ${messageOf(error)}; give PEM files that belong together`;
    throw refusal(source, 'certFile', why);
  }
  try {
    if (ca !== undefined) new X509Certificate(ca);
  } catch (error) {
    throw refusal(
      source,
      'caFile',
      `${tls.caFile} holds no certificate: ${messageOf(error)}; give a PEM file`,
    );
  }
  return { tls: { cert, key, ca }, peerSecret };
}

function refusal(source: string, key: string, why: string): ConfigError {
  return new ConfigError([`${source}: tls.${key}: ${why}`]);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
