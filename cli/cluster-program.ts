/** The commands of `kv` about the cluster itself, their options and their help. */

import type { Command } from 'commander';
import { backup, restore } from './backup.js';
import type { Context } from './context.js';
import * as members from './members.js';

/** Runs one command and leaves its exit code behind. */
export type Run = (
  command: Command,
  body: (context: Context) => Promise<number>,
  timeoutMs?: number,
) => Promise<void>;

export function addMembers(program: Command, run: Run): void {
  const group = program
    .command('members')
    .description('List and change the members of the cluster.')
    .addHelpText('after', '\nExamples:\n  kv members list\n  kv members promote n4\n  kv members remove n2');
  group
    .command('list')
    .description('Print the members, as the leader sees them.')
    .action((_flags: object, command: Command) => run(command, members.listMembers));
  group
    .command('add')
    .description('Take a node in, as a learner; it gets a vote by itself once it has caught up.')
    .argument('<id>')
    .requiredOption('--raft <address>', 'host:port of its consensus traffic')
    .requiredOption('--rpc <address>', 'host:port of its forwarded requests')
    .requiredOption('--http <address>', 'host:port of its clients')
    .option('--learner', 'it stays without a vote')
    .action((id: string, flags: members.MemberFlags, command: Command) =>
      run(command, (context) => members.addMember(context, id, flags)),
    );
  group
    .command('remove')
    .description('Take a member out; the leader too.')
    .argument('<id>')
    .action((id: string, _flags: object, command: Command) =>
      run(command, (context) => members.removeMember(context, id)),
    );
  group
    .command('promote')
    .description('Give a learner its vote.')
    .argument('<id>')
    .action((id: string, _flags: object, command: Command) =>
      run(command, (context) => members.promote(context, id)),
    );
  group
    .command('transfer')
    .description('Hand leadership over, to this voter or to the one with most of the log.')
    .argument('[id]')
    .action((id: string | undefined, _flags: object, command: Command) =>
      run(command, (context) => members.transfer(context, id)),
    );
  program
    .command('snapshot')
    .description('Take a snapshot of the leader’s state now.')
    .addHelpText('after', '\nExamples:\n  kv snapshot')
    .action((_flags: object, command: Command) => run(command, members.snapshot));
}

export function addBackup(program: Command, run: Run): void {
  program
    .command('backup')
    .description('Write the whole store, as of now, to a file. It goes on meanwhile.')
    .argument('<file>')
    .addHelpText('after', '\nExamples:\n  kv backup monday.snap')
    .action((file: string, _flags: object, command: Command) =>
      run(command, (context) => backup(context, file)),
    );
  program
    .command('restore')
    .description(
      'Make a new cluster begin with a backup: puts it, checked, into the empty data directory of every node,\n' +
        'before their first start. Where a node runs elsewhere, run this there. Revisions go on far above\n' +
        'those of the backup; sessions and the history of changes are not restored.',
    )
    .argument('<file>')
    .requiredOption('--data-dir <directories...>', 'raft.dataDir of one node or of several')
    .addHelpText('after', '\nExamples:\n  kv restore monday.snap --data-dir data/node1 data/node2 data/node3')
    .action((file: string, flags: { readonly dataDir: readonly string[] }, command: Command) =>
      run(command, (context) => restore(context, file, flags.dataDir)),
    );
}
