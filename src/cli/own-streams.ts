import type { AttachStreams } from '../container/attach.ts';

/** Our own streams, for a container to be shown on. */
export function ownStreams(interactive: boolean): AttachStreams {
  return {
    stdin: interactive ? process.stdin : undefined,
    stdout: process.stdout,
    stderr: process.stderr,
  };
}

/** Of our own terminal, where there is one. */
export function terminalSize(): { width: number; height: number } | undefined {
  return process.stdout.isTTY ? { width: process.stdout.columns, height: process.stdout.rows } : undefined;
}
