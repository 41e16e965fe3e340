import { mkdir, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { TemporaryDirectory } from './temporary-directory.ts';

export interface LoopFilesystemOptions {
  type: 'btrfs' | 'ext4' | 'xfs';
  /** Of the (sparse) disk; mkfs.btrfs wants 109 MiB or more, mkfs.xfs 300 MiB. */
  sizeBytes: number;
  label?: string | undefined;
}

/** A freshly made file system in a file, mounted. Needs root. */
export async function loopFilesystem(options: LoopFilesystemOptions): Promise<LoopFilesystem> {
  return LoopFilesystem.create(options);
}

/** Disposal unmounts it, which frees the loop device, and removes the file. */
export class LoopFilesystem {
  readonly mountPoint: string;
  /** The file that holds the file system. */
  readonly diskPath: string;
  readonly #directory: TemporaryDirectory;
  #mounted = false;

  static async create({ type, sizeBytes, label }: LoopFilesystemOptions): Promise<LoopFilesystem> {
    const filesystem = new LoopFilesystem(await TemporaryDirectory.create());
    try {
      await writeFile(filesystem.diskPath, '');
      await truncate(filesystem.diskPath, sizeBytes);
      const labelled = label === undefined ? [] : ['-L', label];
      await execa(`mkfs.${type}`, ['-q', ...labelled, filesystem.diskPath]);
      await mkdir(filesystem.mountPoint);
      await filesystem.mount();
      return filesystem;
    } catch (error) {
      await filesystem[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(directory: TemporaryDirectory) {
    this.#directory = directory;
    this.diskPath = path.join(directory.path, 'disk');
    this.mountPoint = path.join(directory.path, 'mnt');
  }

  /** Mounts it again after {@link unmount}. */
  async mount(options = 'loop'): Promise<void> {
    await execa('mount', ['-o', options, this.diskPath, this.mountPoint]);
    this.#mounted = true;
  }

  /** Unmounts it; fails where something still uses it, which is a leak. */
  async unmount(): Promise<void> {
    await execa('umount', [this.mountPoint]);
    this.#mounted = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#mounted) await execa('umount', ['-R', this.mountPoint]);
    this.#mounted = false;
    await this.#directory[Symbol.asyncDispose]();
  }
}
