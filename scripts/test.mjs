/**
 * `npm test [-- <arguments of ava>]`: installs and builds what is out of date, then every check and every test. The
 * last line on stdout is `N passed, N failed`, each check counting as one; the exit code is 0 when none failed.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { ensureBuilt, ensureInstalled, npmCommand, PrepareError, ROOT, run } from './prepare.mjs';

const KILL_AFTER_MS = 5_000;
/**
 * More than any test may take. Ava's own bound (`timeout` in its configuration) is gone once a test has set one of its own that is over: its timer
 * is not set again then, and a test process that does not end holds up the run for ever.
 */
const SILENCE_MAX_MS = 360_000;

let passed = 0;
let failed = 0;
/** The commands that run now; each leads a process group, so that what it started ends with it. */
const running = new Set();

const options = { detached: true, onSpawn: watch };

function watch(child) {
  running.add(child);
  // What it left behind holds up nobody.
  child.once('exit', () => {
    killGroup(child, 'SIGKILL');
    running.delete(child);
  });
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, interrupt);

function interrupt(signal) {
  console.log(`Interrupted by ${signal}.`);
  const children = [...running];
  if (children.length === 0) process.exit(130);
  for (const child of children) killGroup(child, 'SIGTERM');
  setTimeout(() => children.forEach((child) => killGroup(child, 'SIGKILL')), KILL_AFTER_MS).unref();
  void Promise.all(children.map((child) => new Promise((resolve) => child.once('close', resolve)))).then(() =>
    process.exit(130),
  );
}

function killGroup(child, signal) {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

async function check(name, action) {
  const startMs = performance.now();
  let fault;
  try {
    fault = await action();
  } catch (error) {
    if (!(error instanceof PrepareError)) console.log(error.stack);
    fault = error.message;
  }
  const tookSeconds = ((performance.now() - startMs) / 1000).toFixed(1);
  if (fault === undefined) passed += 1;
  else failed += 1;
  console.log(fault === undefined ? `ok ${name} (${tookSeconds} s)` : `FAILED ${name}: ${fault}`);
  return fault === undefined;
}

async function tool(command) {
  const code = await run(command, options);
  return code === 0 ? undefined : `exit code ${code}`;
}

const bin = (name) => path.join(ROOT, 'node_modules/.bin', name);

async function main() {
  let installFault;
  try {
    await ensureInstalled(options);
  } catch (error) {
    installFault = error;
  }
  if (installFault !== undefined) {
    await check('install', () => Promise.reject(installFault));
  } else {
    console.log('\n== build');
    const built = await check('build', () => ensureBuilt(options));
    console.log('\n== lint, format, rooms');
    // Each has one thread: together they take as long as the longest.
    await Promise.all([
      check('lint', () => tool([bin('eslint'), '--max-warnings', '0', '.'])),
      check('format', () => tool([bin('prettier'), '--check', '--log-level', 'warn', '.'])).then(() =>
        check('rooms', () => tool(npmCommand(['run', '--silent', 'rooms']))),
      ),
    ]);
    if (built) await runTests(process.argv.slice(2));
    else console.log('\nThe tests are not run, because the build failed.');
  }
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}

async function runTests(args) {
  console.log('\n== tests');
  // A source file stands for what it compiles to.
  const filters = args.map((arg) => arg.replace(/^(?:\.\/)?(test\/.*)\.ts$/, 'dist/$1.js'));
  const { Parser } = await import('tap-parser');
  const counts = { passed: 0, failed: 0, skipped: 0 };
  /** What ava itself counts, at its end; it knows of tests that never reported. */
  let avaFailed;
  const parser = new Parser();
  parser.on('assert', (result) => report(result, counts));
  parser.on('comment', (text) => {
    const count = /^# fail (\d+)/.exec(text)?.[1];
    if (count !== undefined) avaFailed = Number(count);
    else if (!/^# (tests|pass|skip|test count)[ (]\d+/.test(text)) process.stdout.write(text);
  });
  parser.on('extra', (text) => process.stdout.write(text));
  const complete = new Promise((resolve) => parser.once('complete', resolve));

  const exit = await new Promise((resolve, reject) => {
    const child = spawn(bin('ava'), ['--tap', ...filters], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    watch(child);
    child.once('error', reject);
    const overdue = setTimeout(() => {
      console.log(`No test has ended for ${SILENCE_MAX_MS / 1000} s.`);
      killGroup(child, 'SIGKILL');
    }, SILENCE_MAX_MS);
    child.stdout.on('data', () => overdue.refresh());
    child.once('exit', () => clearTimeout(overdue));
    child.stdout.pipe(parser);
    // Not 'close': a process left behind by a test may hold the pipe open.
    child.once('exit', (code, signal) => {
      void complete.then(() => resolve(signal ?? code));
    });
  });

  settle(counts, avaFailed, exit);
  if (counts.skipped > 0) console.log(`${counts.skipped} skipped`);
  if (counts.failed > 0) console.log('For stack traces: npx ava dist/test/<the file>');
  passed += counts.passed;
  failed += counts.failed;
}

/** Counts as failed what left no line of its own: crashes, hangs, runs without tests. */
function settle(counts, avaFailed, exit) {
  if (avaFailed === undefined) {
    // Ava's TAP reporter throws when the time of a run without progress is over (avajs/ava issue 3461).
    console.log(`FAILED ava ended early (${exit}), most likely by a test that hangs: not all tests ran`);
    counts.failed += 1;
  } else if (avaFailed > counts.failed) {
    console.log(`FAILED ${avaFailed - counts.failed} test(s) that never finished`);
    counts.failed = avaFailed;
  } else if (exit !== 0 && counts.failed === 0) {
    console.log(`FAILED ava ended with ${exit}, though no test failed`);
    counts.failed += 1;
  } else if (exit === 0 && counts.passed === 0) {
    console.log('FAILED no test ran');
    counts.failed += 1;
  }
}

function report(result, counts) {
  if (result.skip || result.todo) {
    counts.skipped += 1;
    console.log(`skipped ${result.name}`);
  } else if (result.ok) {
    counts.passed += 1;
    console.log(`ok ${result.name}`);
  } else {
    counts.failed += 1;
    console.log(`FAILED ${result.name}`);
    if (result.diag) console.log(indent(describe(result.diag)));
  }
}

/** The parts of ava's diagnostics that help, as text. */
function describe(diag) {
  const { name, message, details, at, assertion, formatted } = diag;
  const lines = [`${name ?? 'Error'}: ${message ?? formatted ?? ''}`];
  if (assertion) lines.push(`assertion: ${assertion}`);
  for (const [label, value] of Object.entries(details ?? diag.values ?? {}))
    lines.push(label, indent(String(value)));
  if (at && !at.includes('node_modules/ava/')) lines.push(`at ${at}`);
  return lines.join('\n');
}

function indent(text) {
  return text
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n');
}

await main();
