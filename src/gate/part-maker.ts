import { randomBytes } from 'node:crypto';
import { closeSync, ftruncateSync, lstatSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { encryptInto, formatLuks, LUKS_HEADER_BYTES } from '../disk/luks.ts';
import { ImgbootError } from '../errors.ts';
import { mountOf } from '../system/block-device.ts';
import { isSubvolume } from '../system/btrfs.ts';
import { runCommand } from '../system/exec.ts';
import type { FilesInRoot } from '../system/files-in-root.ts';
import { freeBytes } from '../system/free-space.ts';
import { unmount } from '../system/libc.ts';
import { PrivateSpace } from '../system/private-space.ts';
import type { Progress } from '../system/progress.ts';
import { contentBytes, makeContent } from './make-content.ts';
import type { Content, Part } from './part.ts';
import { makePartitioned } from './partition-table.ts';
import { copyDirectory, layersToCopy, writeStoreContent, type StoreContent } from './store-content.ts';

/** A file that the booted system is to find, before anything of it runs. */
export interface SetupFile {
  path: string;
  content: string;
}

export interface PartMakerRequest {
  store: StoreContent;
  /** The root file system that the boot will make: key files are in it. */
  root: FilesInRoot;
  /** A directory in the store. */
  scratch: string;
  progress: Progress;
}

/** Makes the parts of a plan, each as a raw disk. Mounts: runs only in a mount namespace of its own. */
export class PartMaker {
  /** Keys of volumes that nobody has a key file for. */
  readonly keys: SetupFile[] = [];
  readonly #request: PartMakerRequest;
  #count = 0;

  constructor(request: PartMakerRequest) {
    this.#request = request;
  }

  /** @returns a raw disk */
  async make(part: Part): Promise<string> {
    this.#count += 1;
    const disk = join(this.#request.scratch, `disk${this.#count}`);
    let sizeBytes = await this.#makeContent(disk, await this.#withoutWhatIsNotThere(part));
    if (part.luks !== undefined) {
      const isSparse = part.content.type === 'btrfs';
      await this.#encrypt(disk, { ...part.luks, sizeBytes, isSparse });
      sizeBytes += LUKS_HEADER_BYTES;
    }
    if (part.isPartition) {
      const { partUuid, partLabel } = part;
      renameSync(disk, `${disk}.content`);
      await makePartitioned(disk, { content: `${disk}.content`, sizeBytes, partUuid, partLabel });
      rmSync(`${disk}.content`);
    }
    return disk;
  }

  async #makeContent(file: string, content: Content): Promise<number> {
    const { store, scratch } = this.#request;
    const held = content.copies.map(({ from }) => from);
    if (content.holdsStore) {
      held.push(...layersToCopy(store).map((layer) => join(store.layers, layer)));
      held.push(...store.persist.map(({ source }) => source));
    }
    const heldBytes = await bytesOf(held);
    requireSpace(scratch, heldBytes);
    const sizeBytes = contentBytes(content, heldBytes) + (content.holdsStore ? WRITTEN_BYTES : 0);
    makeSparse(file, sizeBytes);
    const mountPoint = join(scratch, 'mount');
    mkdirSync(mountPoint, { recursive: true });
    const fill = async (top: string): Promise<void> => {
      if (content.holdsStore) {
        this.#request.progress({ step: 'copying the version for the gate' });
        await writeStoreContent(top, store);
      }
      for (const { from, to } of content.copies) {
        mkdirSync(dirname(join(top, to)), { recursive: true });
        await copyDirectory(from, join(top, to));
      }
    };
    await makeContent(file, content, { mountPoint, fill });
    return sizeBytes;
  }

  /**
   * A content with those of its subvolumes and directories that the machine's own has. One that is not mounted is
   * believed: even a look would replay its journal.
   */
  async #withoutWhatIsNotThere({ content, host }: Part): Promise<Content> {
    const { subvolumes, directories, type } = content;
    if (host === undefined || subvolumes.length + directories.length === 0) return content;
    if (mountOf(host) === undefined) return content;
    const look = join(this.#request.scratch, 'look');
    mkdirSync(look, { recursive: true });
    await runCommand('mount', ['-t', type!, ...(type === 'btrfs' ? ['-o', 'subvolid=5'] : []), host, look]);
    try {
      await runCommand('mount', ['-o', 'remount,bind,ro', look]);
      return {
        ...content,
        subvolumes: subvolumes.filter(({ path }) => isSubvolume(join(look, path))),
        directories: directories.filter((path) =>
          lstatSync(join(look, path), { throwIfNoEntry: false })?.isDirectory(),
        ),
      };
    } finally {
      unmount(look);
    }
  }

  async #encrypt(
    disk: string,
    luks: NonNullable<Part['luks']> & { sizeBytes: number; isSparse: boolean },
  ): Promise<void> {
    const plain = `${disk}.plain`;
    renameSync(disk, plain);
    makeSparse(disk, luks.sizeBytes + LUKS_HEADER_BYTES);
    using secrets = new PrivateSpace(join(this.#request.scratch, 'secrets'));
    const passphrase = this.#keyOf(luks);
    const key = await formatLuks(disk, { passphrase, uuid: luks.uuid, iterMs: 100, secrets: secrets.path });
    encryptInto(disk, { file: plain, key, isSparse: luks.isSparse, progress: () => {} });
    rmSync(plain);
  }

  /** What opens it in the boot, or, where the boot will not find its key, something else. */
  #keyOf({ name, key }: NonNullable<Part['luks']>): Buffer {
    const place =
      key === 'made-up' ? { file: `/etc/cryptsetup-keys.d/${name}.key`, offset: 0, size: undefined } : key;
    const found = this.#request.root.readFile(place.file);
    if (found !== undefined) {
      const end = place.size === undefined ? undefined : place.offset + place.size;
      return found.subarray(place.offset, end);
    }
    const made = randomBytes(16).toString('hex');
    if (key === 'made-up') this.keys.push({ path: `/run/cryptsetup-keys.d/${name}.key`, content: made });
    return Buffer.from(made);
  }
}

/** For what the booted system writes. */
const WRITTEN_BYTES = 4 * 2 ** 30;
/** So much of it is likely. */
const LIKELY_BYTES = 256 * 2 ** 20;

function makeSparse(file: string, sizeBytes: number): void {
  const fd = openSync(file, 'wx', 0o600);
  ftruncateSync(fd, sizeBytes);
  closeSync(fd);
}

async function bytesOf(paths: readonly string[]): Promise<number> {
  if (paths.length === 0) return 0;
  const words = ['--summarize', '--total', '--block-size=1', '--one-file-system', '--', ...paths];
  const { stdout } = await runCommand('du', words);
  return Number(/^([0-9]+)\ttotal$/m.exec(stdout)?.[1] ?? 0);
}

/** A sparse file that cannot be filled shows as errors of a device. @throws IMGBOOT_NO_SPACE */
function requireSpace(scratch: string, heldBytes: number): void {
  const [free, needed] = [freeBytes(scratch), heldBytes * 1.1 + LIKELY_BYTES];
  if (free >= needed) return;
  const mb = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;
  throw new ImgbootError(
    'IMGBOOT_NO_SPACE',
    `the gate boots from a copy, which needs ${mb(needed)}; the store's file system has ${mb(free)} free`,
    { hint: 'imgboot prune frees what no image needs' },
  );
}
