import { mkdirSync } from 'node:fs';
import { MNT_DETACH, MS_NODEV, MS_NOSUID, mount, unmount } from './libc.ts';

/** A directory in memory that no other process sees: what is put into it is never on a disk. Disposal is idempotent. */
export class PrivateSpace implements Disposable {
  readonly path: string;
  #mounted = true;

  constructor(path: string) {
    this.path = path;
    mkdirSync(path, { recursive: true, mode: 0o700 });
    mount({
      source: 'imgboot',
      target: path,
      type: 'tmpfs',
      flags: MS_NOSUID | MS_NODEV,
      data: 'mode=700',
    });
  }

  [Symbol.dispose](): void {
    if (this.#mounted) unmount(this.path, MNT_DETACH);
    this.#mounted = false;
  }
}
