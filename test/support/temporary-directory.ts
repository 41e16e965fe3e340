import { mkdtemp, rm } from 'node:fs/promises';
import { temporaryPrefix } from './paths.ts';

/** A directory for a test; disposal removes it with all that is in it. */
export class TemporaryDirectory {
  readonly path: string;

  static async create(): Promise<TemporaryDirectory> {
    return new TemporaryDirectory(await mkdtemp(`${temporaryPrefix}${process.pid}-`));
  }

  private constructor(path: string) {
    this.path = path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}
