/** `kv completion bash|zsh`: a script for the shell, made from the program itself. */

import type { Command } from 'commander';

export const SHELLS = ['bash', 'zsh'] as const;

export type Shell = (typeof SHELLS)[number];

/** The words that may follow each command: subcommands and options. The empty name is the program itself. */
function wordsByCommand(program: Command): Map<string, string[]> {
  const globals = program.options.flatMap(({ long }) => (typeof long === 'string' ? [long] : []));
  const words = new Map<string, string[]>();
  const visit = (command: Command, name: string) => {
    const own =
      command === program
        ? []
        : command.options.flatMap(({ long }) => (typeof long === 'string' ? [long] : []));
    words.set(name, [...command.commands.map((sub) => sub.name()), ...own, ...globals, '--help']);
    for (const sub of command.commands) visit(sub, name === '' ? sub.name() : `${name} ${sub.name()}`);
  };
  visit(program, '');
  return words;
}

/** The script; people put `source <(kv completion bash)` into their shell's start-up file. */
export function completionScript(program: Command, shell: Shell): string {
  const cases = [...wordsByCommand(program)]
    .map(([name, words]) => `    "${name}") words="${words.join(' ')}" ;;`)
    .join('\n');
  const body = bodyOf(cases);
  if (shell === 'bash') return `${body}\ncomplete -o default -F _kv kv\n`;
  return `autoload -Uz +X bashcompinit && bashcompinit\n${body}\ncomplete -o default -F _kv kv\n`;
}

/** Options that take a value from a list offer that list; all others leave it to the shell, which knows files. */
function bodyOf(cases: string): string {
  return `_kv() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words="" command="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
      -*) ;;
      members|completion) command="\${COMP_WORDS[i]}" ;;
      list|add|remove|promote|transfer)
        if [ "$command" = members ]; then command="members \${COMP_WORDS[i]}"; break; fi
        if [ -z "$command" ]; then command="\${COMP_WORDS[i]}"; break; fi ;;
      *) if [ -z "$command" ]; then command="\${COMP_WORDS[i]}"; break; fi ;;
    esac
  done
  case "$previous" in
    -o|--output) words="table json plain" ;;
    --consistency) words="linearizable lease stale" ;;
    --format) words="jsonl csv" ;;
    completion) words="${SHELLS.join(' ')}" ;;
    *) case "$command" in
${cases}
    esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
`;
}
