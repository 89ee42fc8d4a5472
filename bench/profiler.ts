/** Loaded into a server before its own code: SIGUSR2 begins a CPU profile, the next one ends it and writes it down. */

import { renameSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';

const SAMPLING_US = 500;
const file = `profile-${process.pid}.json`;
let session: Session | undefined;

process.on('SIGUSR2', () => {
  if (session === undefined) {
    session = new Session();
    session.connect();
    session.post('Profiler.enable');
    session.post('Profiler.setSamplingInterval', { interval: SAMPLING_US });
    session.post('Profiler.start');
    return;
  }
  const ending = session;
  session = undefined;
  ending.post('Profiler.stop', (error, result) => {
    ending.disconnect();
    if (error !== null) throw error;
    writeFileSync(`${file}.part`, JSON.stringify(result.profile));
    renameSync(`${file}.part`, file);
  });
});
