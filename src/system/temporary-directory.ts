import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from './remove-tree.ts';

/** A directory of this process's own; gone with all it holds when disposed. */
export class TemporaryDirectory implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** In `parent`, or where the system keeps temporary files (TMPDIR). */
  static async create(parent = tmpdir()): Promise<TemporaryDirectory> {
    return new TemporaryDirectory(await mkdtemp(join(parent, 'imgboot-')));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    removeTree(this.path);
  }
}
