/** A disk that fails on demand, and one that loses what was not synced, for real processes; `disk-shim.c` is the part between them and the kernel. */

import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';

const SOURCE = path.resolve('test/faults/disk-shim.c');

export interface DiskRule {
  readonly call: 'write' | 'sync';
  readonly error: 'EIO' | 'ENOSPC';
  /** Of which files: their paths have this in them. */
  readonly part: string;
}

/** Undefined where there is nothing to compile it with, or nothing that would load it. */
export function compileShim(folder: string): string | undefined {
  const library = path.join(folder, 'disk-shim.so');
  if (process.platform !== 'linux') return undefined;
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, SOURCE, '-ldl', '-lpthread'], {
      stdio: 'pipe',
    });
    return library;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The disk of one process. */
export class ShimmedDisk {
  readonly #directory: string;
  readonly #library: string;

  constructor(directory: string, library: string) {
    mkdirSync(directory, { recursive: true });
    this.#directory = directory;
    this.#library = library;
  }

  get env(): Readonly<Record<string, string>> {
    return { LD_PRELOAD: this.#library, DISK_SHIM: this.#directory };
  }

  /** From now on, until `heal`. */
  fail({ call, error, part }: DiskRule): void {
    const aside = path.join(this.#directory, 'rule.tmp');
    writeFileSync(aside, `${call} ${constants.errno[error]} ${part}\n`);
    renameSync(aside, path.join(this.#directory, 'rule'));
  }

  heal(): void {
    rmSync(path.join(this.#directory, 'rule'), { force: true });
    rmSync(path.join(this.#directory, 'journal'), { force: true });
  }

  /** The paths of the files on which a call was let fail, one for each call. */
  failures(): readonly string[] {
    return this.#journal().flatMap((line) => /^failed \w+ (.*)$/.exec(line)?.slice(1) ?? []);
  }

  /**
   * Takes away what was not synced from the files of a process that is gone: the ends of files. That directories keep the names that they have, and
   * that a file which was written in place has its new content, is what a journaling file system does; a torn write in place is tried elsewhere.
   */
  cutPower(dataDir: string): { readonly files: number; readonly bytes: number } {
    const synced = new Map<string, number>();
    for (const line of this.#journal()) {
      const [word, inode, bytes] = line.split(' ');
      if (word === 'synced' && inode !== undefined) synced.set(inode, Number(bytes));
    }
    let files = 0;
    let lost = 0;
    for (const name of readdirSync(dataDir, { recursive: true, encoding: 'utf8' })) {
      const file = path.join(dataDir, name);
      const status = statSync(file);
      const kept = synced.get(String(status.ino)) ?? 0;
      if (!status.isFile() || status.size <= kept) continue;
      truncateSync(file, kept);
      files += 1;
      lost += status.size - kept;
    }
    return { files, bytes: lost };
  }

  #journal(): readonly string[] {
    const file = path.join(this.#directory, 'journal');
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
  }
}
