/** Mutants of membership: joint consensus, learners, replaced disks, and where the configuration is kept. */

import type { Mutant } from './mutants.js';

export const MEMBER_MUTANTS: readonly Mutant[] = [
  {
    name: 'commit-in-one-half',
    file: 'raft/replication.js',
    breaks: 'in a joint configuration an entry is committed by both majorities (§6)',
    original: 'const index = agreedByAll(electorate(state.configuration),',
    replacement: 'const index = agreedByAll(electorate(state.configuration).slice(0, 1),',
  },
  {
    name: 'commit-in-the-old-half',
    file: 'raft/replication.js',
    breaks: 'in a joint configuration an entry is committed by both majorities (§6)',
    original: 'const index = agreedByAll(electorate(state.configuration),',
    replacement: 'const index = agreedByAll(electorate(state.configuration).slice(-1),',
  },
  {
    name: 'elected-in-one-half',
    file: 'raft/election.js',
    breaks: 'in a joint configuration a leader is elected by both majorities (§6)',
    original: 'const result = voteResultOfAll(electorate(state.configuration),',
    replacement: 'const result = voteResultOfAll(electorate(state.configuration).slice(0, 1),',
  },
  {
    name: 'learners-elect',
    file: 'raft/election.js',
    breaks: 'a vote of a learner counts for nothing (thesis §4.2.1)',
    original: 'const result = voteResultOfAll(electorate(state.configuration),',
    replacement: 'const result = voteResultOfAll([state.configuration.members.map(({ id }) => id)],',
  },
  {
    name: 'learners-commit',
    file: 'raft/replication.js',
    breaks: 'what a learner holds makes no majority (thesis §4.2.1)',
    original: 'const index = agreedByAll(electorate(state.configuration),',
    replacement: 'const index = agreedByAll([state.configuration.members.map(({ id }) => id)],',
  },
  {
    name: 'without-a-joint-configuration',
    file: 'membership/change.js',
    breaks: 'voters change by way of a joint configuration, one change at a time (§6)',
    original: 'return { ...withMember(from, member), outgoing: voters(from) };',
    replacement:
      'const next = withMember(from, member); return member.leaving ? without(next, [member]) : next;',
  },
  {
    name: 'two-changes-at-once',
    file: 'raft/membership.js',
    breaks: 'a change begins when the one before is over: committed, and its joint configuration left (§6)',
    original:
      "if (isUnderWay(state))\n        return { why: 'under-way' };\n    const next = changed(configuration, change);",
    replacement: 'const { outgoing, ...simple } = configuration;\n    const next = changed(simple, change);',
  },
  {
    name: 'joint-left-before-commit',
    file: 'raft/membership.js',
    breaks: 'a joint configuration is left once it is committed (§6)',
    original: 'latest === undefined || latest.index > log.commit || log.commit < lead.firstIndex',
    replacement: 'latest === undefined || log.commit < lead.firstIndex',
  },
  {
    name: 'joint-never-left',
    file: 'raft/membership.js',
    breaks: 'a joint configuration is left by itself (§6)',
    original: 'if (isJoint(configuration))\n        append(state, leaveJoint(configuration));\n    else if',
    replacement: 'if (isJoint(configuration))\n        return;\n    else if',
  },
  {
    name: 'truncated-configuration-stays',
    file: 'raft/state.js',
    breaks: 'a configuration goes with the entry that brought it (§6)',
    original: 'while (latestOf(state.configurations).index >= index)\n        state.configurations.pop();',
    replacement: '',
  },
  {
    name: 'configuration-counts-when-committed',
    file: 'raft/state.js',
    breaks: 'a configuration counts from the moment that it is in the log (§6)',
    original:
      'const { configuration } = latestOf(state.configurations);\n    if (configuration === state.configuration)',
    replacement:
      'const configuration = committedConfiguration(state);\n    if (configuration === state.configuration)',
  },
  {
    name: 'configuration-not-in-the-snapshot',
    file: 'raft/state.js',
    breaks: 'who the members are is a part of the snapshot (§7)',
    original: 'state.configurations.splice(0, Infinity, { index, configuration });',
    replacement: 'state.configurations.splice(1, Infinity);',
  },
  {
    name: 'configuration-of-the-snapshot-too-new',
    file: 'raft/state.js',
    breaks: 'a snapshot has the configuration of its own index, not of the end of the log (§7)',
    original: 'const at = latestOf(configurations.filter((known) => known.index <= index));',
    replacement: 'const at = latestOf(configurations);',
  },
  {
    name: 'configuration-of-the-state-too-old',
    file: 'server/applier.js',
    breaks: 'the configuration is in the batch of the state that applies it',
    original:
      "const configuration = entry.type === 'configuration' ? decodeConfiguration(entry.data) : applied.configuration;",
    replacement: 'const configuration = applied.configuration ?? decodeConfiguration(entry.data);',
  },
  {
    name: 'replaced-disk-keeps-its-vote',
    file: 'server/members/joining.js',
    breaks:
      'a disk that was replaced comes in as a new member, and its promises count no more (API, section 6)',
    original: 'if (member.incarnation === incarnation) {',
    replacement: 'if (member.id === id) {',
  },
];
