import { parseHeredoc, stripTabs, withHeredocs } from './heredoc.ts';
import type { RunInstruction } from './instruction.ts';

/** What a RUN executes. */
export type RunScript =
  /** These arguments, as they are. */
  | { kind: 'exec'; argv: string[] }
  /** This text, as the last argument of the SHELL. */
  | { kind: 'shell'; script: string }
  /** This file, executable, by its own `#!` line; Docker shows it as /dev/pipes/NAME. */
  | { kind: 'file'; name: string; content: string };

/**
 * A RUN that is one heredoc and nothing else is the heredoc's content; any other heredoc is left to the shell.
 * @see Docker's reference, "Here-Documents"
 */
export function runScript(run: RunInstruction): RunScript {
  if (run.form === 'exec') return { kind: 'exec', argv: run.command };
  const [heredoc] = run.heredocs;
  if (heredoc === undefined) return { kind: 'shell', script: run.command };
  if (parseHeredoc(run.command) === undefined) {
    return { kind: 'shell', script: withHeredocs(run.command, run.heredocs) };
  }
  const content = heredoc.stripTabs ? stripTabs(heredoc.content) : heredoc.content;
  return content.startsWith('#!')
    ? { kind: 'file', name: heredoc.name, content }
    : { kind: 'shell', script: content };
}
