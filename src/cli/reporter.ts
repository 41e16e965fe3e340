import type { Progress, ProgressEvent } from '../system/progress.ts';

export interface Reporter {
  report: Progress;
  /** Takes an unfinished status line off the terminal. */
  clear(): void;
  /** Clears, and reports nothing more. */
  close(): void;
}

/** At most this often is a terminal's status line drawn. */
const REDRAW_MS = 100;

/** One status line that is rewritten on a terminal; a plain line for each new step elsewhere. */
export function createReporter(stream: NodeJS.WriteStream): Reporter {
  return stream.isTTY ? terminalReporter(stream) : lineReporter(stream);
}

function terminalReporter(stream: NodeJS.WriteStream): Reporter {
  let drawnAt = 0;
  let lastStep = '';
  let shown = false;
  let closed = false;
  const clear = (): void => {
    if (shown) stream.write('\r\x1b[K');
    shown = false;
  };
  return {
    report(event) {
      const now = Date.now();
      if (closed || (event.step === lastStep && now - drawnAt < REDRAW_MS)) return;
      drawnAt = now;
      lastStep = event.step;
      clear();
      stream.write(describe(event).slice(0, (stream.columns ?? 80) - 1));
      shown = true;
    },
    clear,
    close() {
      clear();
      closed = true;
    },
  };
}

function lineReporter(stream: NodeJS.WriteStream): Reporter {
  let lastStep = '';
  let closed = false;
  return {
    report(event) {
      if (closed || event.step === lastStep) return;
      lastStep = event.step;
      stream.write(`${event.step}\n`);
    },
    clear() {},
    close() {
      closed = true;
    },
  };
}

function describe({ step, done, total }: ProgressEvent): string {
  if (done === undefined || total === undefined || total === 0) return step;
  return `${step} ${Math.min(100, Math.floor((done / total) * 100))} %`;
}
