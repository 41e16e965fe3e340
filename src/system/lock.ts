import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { LOCK_EX, LOCK_SH, tryFlock } from './libc.ts';

export type LockMode = 'shared' | 'exclusive';

const FIRST_POLL_MS = 5;
const LONGEST_POLL_MS = 200;

/**
 * An advisory lock on a file (flock(2)): the kernel gives it back when its holder ends, however it ends.
 * Disposal is idempotent.
 */
export class FileLock implements Disposable {
  #fd: number | undefined;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Waits for the lock; makes the file when it is missing. `onWait` is called once, if it has to wait. */
  static async acquire(
    path: string,
    mode: LockMode,
    options: { signal?: AbortSignal | undefined; onWait?: () => void } = {},
  ): Promise<FileLock> {
    for (let pollMs = FIRST_POLL_MS; ; pollMs = Math.min(pollMs * 2, LONGEST_POLL_MS)) {
      options.signal?.throwIfAborted();
      const lock = FileLock.tryAcquire(path, mode);
      if (lock !== undefined) return lock;
      if (pollMs === FIRST_POLL_MS * 8) options.onWait?.();
      await sleep(pollMs);
    }
  }

  /** Waits for a lock that everybody holds for a moment only; nothing else happens in this process meanwhile. */
  static acquireSync(path: string, mode: LockMode): FileLock {
    const never = new Int32Array(new SharedArrayBuffer(4));
    for (;;) {
      const lock = FileLock.tryAcquire(path, mode);
      if (lock !== undefined) return lock;
      Atomics.wait(never, 0, 0, FIRST_POLL_MS);
    }
  }

  /** Takes the lock if nobody holds it against us. */
  static tryAcquire(path: string, mode: LockMode): FileLock | undefined {
    const fd = openSync(path, 'a', 0o600);
    if (tryFlock(fd, mode === 'shared' ? LOCK_SH : LOCK_EX)) return new FileLock(fd);
    closeSync(fd);
    return undefined;
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
