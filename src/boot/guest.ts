import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { parseCompression } from '../initramfs/compression.ts';
import { Contents } from '../initramfs/contents.ts';
import { parseModuleSelection } from '../initramfs/module-selection.ts';
import type { Store } from '../store/store.ts';
import type { OperationOptions } from '../system/progress.ts';
import { TemporaryDirectory } from '../system/temporary-directory.ts';
import { diskCommandLine } from './command-line.ts';
import { makeDisk, type DiskFilesystem } from './disk.ts';
import { makeImageInitramfs } from './image-initramfs.ts';

export interface GuestRequest extends OperationOptions {
  reference: string;
  kver: string | undefined;
  filesystem: DiskFilesystem;
  diskBytes: number | undefined;
  topLayer: string | undefined;
  writable: string;
  /** A file for the disk that outlives the guest; a temporary one when undefined. */
  keep: string | undefined;
}

/** The files that boot an image in a virtual machine. Disposal removes them unless they are to be kept. */
export class Guest implements AsyncDisposable {
  readonly disk: string;
  readonly #parts: string;
  readonly #temporary: TemporaryDirectory | undefined;

  private constructor(disk: string, parts: string, temporary: TemporaryDirectory | undefined) {
    this.disk = disk;
    this.#parts = parts;
    this.#temporary = temporary;
  }

  /** Makes the disk, and the kernel and initramfs beside it. Needs root. */
  static async make(store: Store, request: GuestRequest): Promise<Guest> {
    const temporary = request.keep === undefined ? await TemporaryDirectory.create() : undefined;
    const disk = temporary === undefined ? resolve(request.keep!) : join(temporary.path, 'disk');
    const guest = new Guest(disk, `${disk}.boot`, temporary);
    try {
      await guest.#fill(store, request);
      return guest;
    } catch (error) {
      await guest[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A guest whose disk an earlier {@link make} kept. Needs only the right to write the disk. */
  static open(path: string): Guest {
    const disk = resolve(path);
    const guest = new Guest(disk, `${disk}.boot`, undefined);
    if ([disk, guest.kernel, guest.initrd, guest.#commandLineFile].every((file) => existsSync(file)))
      return guest;
    throw new ImgbootError('IMGBOOT_NOT_A_DISK', `${path} is no disk that imgboot qemu kept`, {
      hint: `make it: imgboot qemu IMAGE --keep ${path}`,
    });
  }

  /** Whether the disk outlives this object. */
  get isKept(): boolean {
    return this.#temporary === undefined;
  }
  get kernel(): string {
    return join(this.#parts, 'vmlinuz');
  }
  get initrd(): string {
    return join(this.#parts, 'initrd.img');
  }
  /** What the guest needs on its kernel command line to boot its image. */
  get commandLine(): string {
    return readFileSync(this.#commandLineFile, 'utf8').trim();
  }
  get #commandLineFile(): string {
    return join(this.#parts, 'cmdline');
  }

  async #fill(store: Store, request: GuestRequest): Promise<void> {
    const { reference, progress, signal } = request;
    mkdirSync(this.#parts, { recursive: true });
    const image = store.image(reference);
    await makeImageInitramfs(store, {
      reference,
      initramfs: {
        kver: request.kver,
        modules: parseModuleSelection('virtio', new Contents()),
        compression: parseCompression('zstd'),
        output: this.initrd,
      },
      kernelOutput: this.kernel,
      progress,
      signal,
    });
    const disk = await makeDisk(store, {
      reference,
      path: this.disk,
      filesystem: request.filesystem,
      sizeBytes: request.diskBytes,
      topLayer: request.topLayer,
      progress,
      signal,
    });
    writeFileSync(
      this.#commandLineFile,
      `${diskCommandLine(disk, { reference: image.reference ?? image.id, writable: request.writable })}\n`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#temporary?.[Symbol.asyncDispose]();
  }
}
