/**
 * Dependencies and build, made current. Plain JavaScript on Node's own modules, because it runs on a fresh clone,
 * before anything is installed or compiled.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';

export const ROOT = path.dirname(import.meta.dirname);

/** Compiled folders, with the source folder that each mirrors. */
const OUTPUTS = [
  { outputs: path.join(ROOT, 'dist'), sources: ROOT },
  { outputs: path.join(ROOT, 'client/dist'), sources: ROOT },
];

/** A check that could not be carried out, or failed; the reason is on the terminal already. */
export class PrepareError extends Error {}

/** The running npm, so that `npm start` uses one and the same throughout. */
export function npmCommand(args) {
  const npm = process.env.npm_execpath;
  return npm?.endsWith('.js') ? [process.execPath, npm, ...args] : ['npm', ...args];
}

/** Runs a command; resolves with its exit code, or null when a signal ended it. */
export function run(command, options = {}) {
  const [file, ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'], ...options });
    options.onSpawn?.(child);
    child.once('error', reject);
    child.once('close', (code) => resolve(code));
  });
}

/** Why `npm ci` is due, in a few words; undefined when node_modules is what package-lock.json asks for. */
export function installReason() {
  const installedFile = path.join(ROOT, 'node_modules/.package-lock.json');
  if (!existsSync(installedFile)) return 'there is no node_modules yet';
  const wanted = readPackages(path.join(ROOT, 'package-lock.json'));
  const installed = readPackages(installedFile);
  for (const [name, entry] of Object.entries(wanted)) {
    if (name === '') continue;
    const found = installed[name];
    // Packages for other platforms stand in the lock file and are rightly not installed.
    if (found === undefined && (entry.optional === true || entry.devOptional === true)) continue;
    if (found?.version !== entry.version || found?.integrity !== entry.integrity) {
      return `${name} is not what package-lock.json asks for`;
    }
  }
  return undefined;
}

function readPackages(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages ?? {};
}

/** Installs what package-lock.json asks for, when something is missing or different. */
export async function ensureInstalled(options = {}) {
  const reason = installReason();
  if (reason === undefined) return;
  console.log(`Installing dependencies (${reason}) ...`);
  // npm's own report is noise here; a failure prints to stderr and is named below.
  const code = await run(npmCommand(['ci', '--loglevel=error']), options);
  if (code !== 0) throw new PrepareError(`npm ci failed with exit code ${code}`);
}

/** Compiles what changed; also removes compiled files whose source is gone, so that nothing stale runs. */
export async function ensureBuilt(options = {}) {
  for (const { outputs, sources } of OUTPUTS) removeOrphans(outputs, sources);
  console.log('Building ...');
  const code = await run(npmCommand(['run', '--silent', 'build']), options);
  if (code !== 0) throw new PrepareError(`npm run build failed with exit code ${code}`);
}

function removeOrphans(outputs, sources) {
  if (!existsSync(outputs)) return;
  for (const entry of readdirSync(outputs, { recursive: true, withFileTypes: true })) {
    const stem = /^(.+?)(\.d\.ts|\.js|\.js\.map)$/.exec(entry.name)?.[1];
    if (!entry.isFile() || stem === undefined) continue;
    const folder = path.relative(outputs, entry.parentPath);
    if (existsSync(path.join(sources, folder, `${stem}.ts`))) continue;
    rmSync(path.join(entry.parentPath, entry.name));
  }
}
