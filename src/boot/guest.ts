import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { withoutEngine } from '../image/engine-name.ts';
import { parseCompression } from '../initramfs/compression.ts';
import { Contents } from '../initramfs/contents.ts';
import { parseModuleSelection } from '../initramfs/module-request.ts';
import type { Store } from '../store/store.ts';
import type { OperationOptions } from '../system/progress.ts';
import type { Workspace } from '../store/workspace.ts';
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
  /** Whether the disk outlives this object. */
  readonly isKept: boolean;
  readonly #parts: string;
  readonly #workspace: Workspace | undefined;

  private constructor(place: { disk: string; isKept: boolean; workspace: Workspace | undefined }) {
    this.disk = place.disk;
    this.isKept = place.isKept;
    this.#parts = `${place.disk}.boot`;
    this.#workspace = place.workspace;
  }

  /** Makes the disk, and the kernel and initramfs beside it. Needs root. */
  static async make(store: Store, request: GuestRequest): Promise<Guest> {
    // In the store's tmp, where the next command sweeps what a killed one left.
    const workspace = await store.workspace();
    const disk = request.keep === undefined ? join(workspace.path, 'disk') : resolve(request.keep);
    const guest = new Guest({ disk, isKept: request.keep !== undefined, workspace });
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
    const guest = new Guest({ disk, isKept: true, workspace: undefined });
    if ([disk, guest.kernel, guest.initrd, guest.#commandLineFile].every((file) => existsSync(file)))
      return guest;
    throw new ImgbootError('IMGBOOT_NOT_A_DISK', `${path} is no disk that imgboot qemu kept`, {
      hint: `make it: imgboot qemu IMAGE --keep ${path}`,
    });
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
    const image = store.image(reference);
    // First, because it refuses a file that is not ours to write to or beside.
    const disk = await makeDisk(store, {
      reference,
      path: this.disk,
      filesystem: request.filesystem,
      sizeBytes: request.diskBytes,
      topLayer: request.topLayer,
      progress,
      signal,
    });
    mkdirSync(this.#parts, { recursive: true });
    await makeImageInitramfs(store, {
      reference,
      initramfs: {
        kver: request.kver,
        modules: { ...parseModuleSelection('virtio', new Contents()), filesystems: [request.filesystem] },
        compression: parseCompression('zstd'),
        output: this.initrd,
      },
      kernelOutput: this.kernel,
      progress,
      signal,
    });
    writeFileSync(
      this.#commandLineFile,
      `${diskCommandLine(disk, { reference: withoutEngine(image.reference ?? image.id), writable: request.writable })}\n`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#workspace?.[Symbol.asyncDispose]();
  }
}
