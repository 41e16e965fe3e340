import type { BuildLine } from '../build/build-line.ts';
import type { Progress } from '../system/progress.ts';

/** What a build shows: everything, line by line; the steps, with what they do in a status line; or nothing. */
export type ProgressKind = 'plain' | 'tty' | 'quiet';

interface BuildProgress {
  onLine: (line: BuildLine) => void;
  progress: Progress | undefined;
}

/** Where standard error is no terminal, there is no status line to be had: all lines are shown. */
export function buildProgress(
  kind: ProgressKind,
  { tell, progress }: { tell: (line: string) => void; progress: Progress },
): BuildProgress {
  // A warning is what the user must know, however quiet it is to be.
  if (kind === 'quiet') {
    const onLine = (line: BuildLine): void => {
      if (line.kind === 'warning') tell(shown(line));
    };
    return { onLine, progress: undefined };
  }
  if (kind === 'plain' || !process.stderr.isTTY) {
    return { onLine: (line) => tell(shown(line)), progress: undefined };
  }
  let step = '';
  return {
    progress,
    onLine(line) {
      if (line.kind === 'step') step = line.text.slice(0, line.text.indexOf(' '));
      if (line.kind === 'output') progress({ step: `${step} ${line.text}` });
      else tell(shown(line));
    },
  };
}

function shown({ kind, text }: BuildLine): string {
  if (kind === 'step') return text;
  return kind === 'warning' ? `warning: ${text}` : `  ${text}`;
}
