/**
 * Whose data directory this is. The small file `identity.json` in it keeps a node off the data of another node, another cluster,
 * a newer format or another engine, and holds the incarnation: made at random with the directory, so that a
 * wiped disk under a known name is told from the one that made promises (see `Member.incarnation`).
 */

import { randomUUID } from 'node:crypto';
import { link, readFile, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import type { EngineName } from './engine.js';
import { StorageError } from './errors.js';
import { errorCode, makeDirectory, replaceFile, syncDirectory, writeSynced } from './files.js';

/** Raised when keys or records change their layout. */
const FORMAT_VERSION = 1;
const FILE = 'identity.json';
/** What a node keeps beside the file; without the file nobody knows whose it is. */
const DATA = ['log', 'state', 'snapshots', 'watermark.0', 'watermark.1'];

const identitySchema = z.strictObject({
  formatVersion: z.literal(FORMAT_VERSION),
  engine: z.string(),
  clusterName: z.string(),
  clusterId: z.string().min(1).nullable(),
  nodeId: z.string().min(1),
  incarnation: z.string().min(1),
});
/** Without it, a node whose cluster or incarnation was damaged would wait for ever to be known under another one. */
const storedSchema = identitySchema.extend({ checksum: z.int() });
/** Read before anything else: what follows may look different in another format. */
const versionSchema = z.looseObject({ formatVersion: z.int() });

export interface Identity {
  readonly formatVersion: number;
  readonly engine: string;
  readonly clusterName: string;
  /** Null until the node has learnt the id of its cluster. */
  readonly clusterId: string | null;
  readonly nodeId: string;
  readonly incarnation: string;
}

/** What the configuration says. */
export interface ExpectedIdentity {
  readonly nodeId: string;
  readonly clusterName: string;
  readonly engine: EngineName;
}

/**
 * Reads the identity of a data directory, or makes one when the directory is missing or holds no data yet.
 *
 * Two processes that do so at once get the same identity; which of them may go on is up to the lock of the log.
 *
 * @throws StorageError `unusable` for a directory of another node, cluster, engine or newer format, for data without
 *   an identity, and for a directory out of reach; `damaged` for a file that cannot be understood; `write` when the disk fails.
 */
export async function openIdentity(dataDir: string, expected: ExpectedIdentity): Promise<Identity> {
  const file = path.join(dataDir, FILE);
  try {
    const text = (await readIfThere(file)) ?? (await create(dataDir, file, expected));
    return check(file, parse(file, text), expected);
  } catch (error) {
    throw toStorageError(file, error);
  }
}

/**
 * Writes down, durably, which cluster the directory belongs to from now on.
 *
 * @throws StorageError `unusable` when it belongs to another one; `write` when the disk fails.
 */
export async function recordClusterId(
  dataDir: string,
  identity: Identity,
  clusterId: string,
): Promise<Identity> {
  const file = path.join(dataDir, FILE);
  if (identity.clusterId === clusterId) return identity;
  if (identity.clusterId !== null) {
    throw new StorageError(
      'unusable',
      `${file} belongs to the cluster with the id ${identity.clusterId}, not ${clusterId}: check cluster.peers, or give this node an empty raft.dataDir`,
    );
  }
  const recorded = { ...identity, clusterId };
  try {
    await replaceFile(file, format(recorded));
  } catch (error) {
    throw toStorageError(file, error);
  }
  return recorded;
}

/**
 * Writes down, durably, that the directory belongs to another cluster from now on, whatever it belonged to.
 *
 * @throws StorageError `write` when the disk fails
 */
export async function replaceClusterId(
  dataDir: string,
  identity: Identity,
  clusterId: string,
): Promise<void> {
  await recordClusterId(dataDir, { ...identity, clusterId: null }, clusterId);
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Gives the text of the file that stands there in the end. */
async function create(dataDir: string, file: string, expected: ExpectedIdentity): Promise<string> {
  await makeDirectory(dataDir);
  const names = await readdir(dataDir);
  const data = DATA.find((name) => names.includes(name));
  // Another process may just have made both.
  const raced = data === undefined ? undefined : await readIfThere(file);
  if (raced !== undefined) return raced;
  if (data !== undefined) {
    throw new StorageError(
      'unusable',
      `${file} is missing, but there is ${path.join(dataDir, data)}: put the file back, or give this node an empty raft.dataDir`,
    );
  }
  const incarnation = randomUUID();
  const text = format({
    formatVersion: FORMAT_VERSION,
    engine: expected.engine,
    clusterName: expected.clusterName,
    clusterId: null,
    nodeId: expected.nodeId,
    incarnation,
  });
  const aside = `${file}.${incarnation}.tmp`;
  await writeSynced(aside, text);
  try {
    await place(aside, file);
  } finally {
    await rm(aside, { force: true });
  }
  await syncDirectory(dataDir);
  return readFile(file, 'utf8');
}

/** Puts a file under its name unless another process was first. */
async function place(aside: string, file: string): Promise<void> {
  try {
    await link(aside, file);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'EEXIST') return;
    // Not every file system has hard links. Then two first starts at one moment are told apart by the lock of the log alone.
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'ENOSYS') throw error;
    await rename(aside, file);
  }
}

function format(identity: Identity): string {
  return `${JSON.stringify({ ...identity, checksum: checksumOf(identity) }, undefined, 2)}\n`;
}

function checksumOf(identity: Identity): number {
  const { formatVersion, engine, clusterName, clusterId, nodeId, incarnation } = identity;
  return crc32(JSON.stringify([formatVersion, engine, clusterName, clusterId, nodeId, incarnation]));
}

function parse(file: string, text: string): Identity {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw damaged(file, 'it is not JSON', error);
  }
  const version = versionSchema.safeParse(json);
  if (version.success && version.data.formatVersion > FORMAT_VERSION) {
    throw new StorageError(
      'unusable',
      `${file} has format ${version.data.formatVersion}, newer than the ${FORMAT_VERSION} that this version reads: start the version that wrote it`,
    );
  }
  const stored = storedSchema.safeParse(json);
  if (!stored.success) {
    const issue = stored.error.issues[0];
    const where = issue?.path.join('.') ?? '';
    const what = `${where === '' ? '' : `${where}: `}${issue?.message ?? 'it is not an identity'}`;
    throw damaged(file, what, stored.error);
  }
  const { checksum, ...identity } = stored.data;
  if (checksum !== checksumOf(identity)) throw damaged(file, 'its checksum is that of something else');
  return identity;
}

function damaged(file: string, what: string, cause?: unknown): StorageError {
  const remedy = 'restore it from a backup, or give the data up with --rejoin';
  return new StorageError('damaged', `${file} is damaged: ${what}; ${remedy}`, cause);
}

function check(file: string, identity: Identity, expected: ExpectedIdentity): Identity {
  if (identity.engine !== expected.engine) {
    throw new StorageError(
      'unusable',
      `${file} was written with the engine ${identity.engine}, not ${expected.engine}: correct storage.engine, or give this node an empty raft.dataDir`,
    );
  }
  if (identity.nodeId !== expected.nodeId) {
    throw new StorageError(
      'unusable',
      `${file} belongs to the node ${identity.nodeId}, not ${expected.nodeId}: correct raft.nodeID or raft.dataDir`,
    );
  }
  if (identity.clusterName !== expected.clusterName) {
    throw new StorageError(
      'unusable',
      `${file} belongs to the cluster ${identity.clusterName}, not ${expected.clusterName}: correct cluster.name or raft.dataDir`,
    );
  }
  return identity;
}

function toStorageError(file: string, error: unknown): unknown {
  const code = errorCode(error);
  if (error instanceof StorageError || code === undefined) return error;
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EIO') {
    return new StorageError('write', `${file} cannot be written: ${code}`, error);
  }
  const remedy = 'raft.dataDir must name a directory that this process may read and write';
  return new StorageError('unusable', `${file} cannot be used: ${code}; ${remedy}`, error);
}
