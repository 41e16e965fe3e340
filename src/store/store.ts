import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ImgbootError, errnoOf } from '../errors.ts';
import { isEngineName, lookupEngineNames, parseEngineName } from '../image/engine-name.ts';
import { REF_NAME, type Descriptor } from '../image/manifest.ts';
import { lookupNames, parseReference, storedName } from '../image/reference.ts';
import { FileLock, type LockMode } from '../system/lock.ts';
import type { OperationOptions } from '../system/progress.ts';
import { driverNames, type DriverName, type LayerDriver } from './driver.ts';
import { createDriver } from './drivers.ts';
import { findGarbage, removeGarbage } from './collect.ts';
import { UnreadableImage, readImage, tryReadImage, type Image } from './image.ts';
import { STORE_VERSION, createStore } from './create-store.ts';
import { readIndex, updateIndex, writeBootFiles } from './index-file.ts';
import { StorePaths } from './paths.ts';
import { Workspace } from './workspace.ts';

/** Where images and their unpacked layers live. Reading takes no lock and writes nothing. */
export class Store {
  readonly paths: StorePaths;
  readonly driver: LayerDriver;

  private constructor(paths: StorePaths, driver: DriverName) {
    this.paths = paths;
    this.driver = createDriver(driver);
  }

  /** Opens a store that exists. @throws IMGBOOT_NO_STORE */
  static open(path: string): Store {
    // Programs that we start have another working directory.
    const paths = new StorePaths(resolve(path));
    let settings: { version?: unknown; driver?: unknown };
    try {
      settings = JSON.parse(readFileSync(paths.settings, 'utf8')) as typeof settings;
    } catch (cause) {
      throw noStore(path, cause);
    }
    const driver = driverNames.find((name) => name === settings.driver);
    if (settings.version !== STORE_VERSION || driver === undefined) {
      throw new ImgbootError(
        'IMGBOOT_UNKNOWN_STORE',
        `${path} is a store of version ${String(settings.version)} with driver ${String(settings.driver)}`,
        {
          hint: 'it was made by another version of imgboot; use that one',
        },
      );
    }
    return new Store(paths, driver);
  }

  /**
   * Opens a store, and makes it first when there is none: on btrfs as a subvolume of its own. Needs root.
   * @param driver refused when the store has the other one; chosen by the file system when undefined
   */
  static openOrCreate(path: string, driver: DriverName | undefined): Store {
    if (!existsSync(join(path, 'store.json'))) createStore(resolve(path), driver);
    const store = Store.open(path);
    if (driver !== undefined && driver !== store.driver.name) {
      throw new ImgbootError(
        'IMGBOOT_DRIVER_MISMATCH',
        `the store ${path} has the ${store.driver.name} driver, not ${driver}`,
        {
          hint: 'a store keeps the driver it was made with; choose another place with --store',
        },
      );
    }
    return store;
  }

  /** Every image that can be read, by name; those without a name last. */
  images(onUnreadable: (unreadable: UnreadableImage) => void = () => {}): Image[] {
    const images = readIndex(this.paths).manifests.flatMap((descriptor) => {
      const image = tryReadImage(this.paths, descriptor);
      if (!(image instanceof UnreadableImage)) return image;
      onUnreadable(image);
      return [];
    });
    return images.sort((a, b) => Number(a.reference === undefined) - Number(b.reference === undefined));
  }

  /**
   * The image of a reference or of the start of an image ID.
   * @throws IMGBOOT_NO_SUCH_IMAGE, naming those there are; IMGBOOT_AMBIGUOUS_ID; IMGBOOT_BAD_REFERENCE
   */
  image(text: string): Image {
    return readImage(this.paths, this.find(text).descriptor);
  }

  /** All names of an image. */
  names({ descriptor }: Pick<Image, 'descriptor'>): string[] {
    const same = readIndex(this.paths).manifests.filter(({ digest }) => digest === descriptor.digest);
    return same.flatMap((descriptor) => descriptor.annotations?.[REF_NAME] ?? []);
  }

  /** Begins an operation that writes: sweeps what killed ones left, and gives a place to work in. */
  async workspace(): Promise<Workspace> {
    // What failed or was killed may have put things in place that nothing names: who ends last, tidies up.
    const workspace = await Workspace.create(this.paths, this.driver, () => this.#collectIfIdle());
    await this.refreshBootFiles();
    if (workspace.sweptAfterKill) this.#collectIfIdle();
    return workspace;
  }

  /**
   * Keeps layers and blobs from being collected (`shared`), or keeps everyone from using them (`exclusive`).
   * Whoever adds or uses layers holds it shared until the index names them.
   */
  async lockContent(mode: LockMode, { progress, signal }: OperationOptions): Promise<FileLock> {
    return FileLock.acquire(join(this.paths.locks, 'content'), mode, {
      signal,
      onWait: () => progress?.({ step: 'waiting for another imgboot that works on this store' }),
    });
  }

  /** Gives a manifest a name; what had the name before stays without one until it is pruned. Atomic. */
  async name(descriptor: Descriptor, reference: string): Promise<void> {
    if (!isEngineName(reference)) return await this.nameAsEngine(descriptor, storedName(reference));
    throw new ImgbootError('IMGBOOT_BAD_REFERENCE', `not an image reference: ${JSON.stringify(reference)}`, {
      hint: "that is what an image in another engine's store is called",
    });
  }

  /** The same with a name as the store keeps it, such as another engine's: `docker://desktop:latest`. */
  async nameAsEngine(descriptor: Descriptor, name: string): Promise<void> {
    await updateIndex(this.#place, (index) => {
      for (const other of index.manifests) {
        if (other.annotations?.[REF_NAME] === name) delete other.annotations[REF_NAME];
      }
      index.manifests = index.manifests.filter(
        (other) => other.digest !== descriptor.digest || other.annotations?.[REF_NAME] !== undefined,
      );
      index.manifests.push({ ...descriptor, annotations: { [REF_NAME]: name } });
    });
  }

  /** Keeps a manifest without giving it a name, until it is pruned. Atomic. */
  async keep(descriptor: Descriptor): Promise<void> {
    await updateIndex(this.#place, (index) => {
      if (!index.manifests.some((other) => other.digest === descriptor.digest))
        index.manifests.push(descriptor);
    });
  }

  /** Gives all names of a manifest to another of the same image. Atomic. */
  async replace(old: Pick<Descriptor, 'digest'>, descriptor: Descriptor): Promise<void> {
    await updateIndex(this.#place, (index) => {
      index.manifests = index.manifests.map((other) =>
        other.digest !== old.digest
          ? other
          : {
              ...descriptor,
              ...(other.annotations === undefined ? {} : { annotations: other.annotations }),
            },
      );
    });
  }

  /** Takes entries out of the index; layers and blobs stay until they are collected. Atomic. */
  async forget(drop: (descriptor: Descriptor) => boolean): Promise<void> {
    await updateIndex(this.#place, (index) => {
      index.manifests = index.manifests.filter((descriptor) => !drop(descriptor));
    });
  }

  /** Makes the boot files follow from the index and the layers as they are. */
  async refreshBootFiles(): Promise<void> {
    using _index = await FileLock.acquire(join(this.paths.locks, 'index'), 'exclusive');
    writeBootFiles(this.#place, readIndex(this.paths));
  }

  /** Blobs and layers that were put in place and never named. Others at work may need theirs. */
  #collectIfIdle(): void {
    using content = FileLock.tryAcquire(join(this.paths.locks, 'content'), 'exclusive');
    if (content !== undefined) removeGarbage(this, findGarbage(this));
  }

  get #place(): { paths: StorePaths; driver: DriverName } {
    return { paths: this.paths, driver: this.driver.name };
  }

  /**
   * What the index has for a reference or for the start of an image ID. The image itself need not be readable.
   * @throws IMGBOOT_NO_SUCH_IMAGE, naming those there are; IMGBOOT_AMBIGUOUS_ID; IMGBOOT_BAD_REFERENCE
   */
  find(text: string): { descriptor: Descriptor; by: 'name' | 'id' } {
    const { manifests } = readIndex(this.paths);
    const id = /^(?:sha256:)?([0-9a-f]{12,64})$/.exec(text)?.[1];
    if (id !== undefined) {
      const matching = manifests.filter((descriptor) => {
        const image = tryReadImage(this.paths, descriptor);
        return !(image instanceof UnreadableImage) && image.id.startsWith(`sha256:${id}`);
      });
      const digests = new Set(matching.map((descriptor) => descriptor.digest));
      if (digests.size > 1)
        throw new ImgbootError('IMGBOOT_AMBIGUOUS_ID', `${text} is the start of ${digests.size} image IDs`, {
          hint: 'give more digits',
        });
      if (matching[0] !== undefined) return { descriptor: matching[0], by: 'id' };
    }
    const engine = parseEngineName(text);
    if (engine !== undefined) {
      for (const name of lookupEngineNames(engine)) {
        const found = manifests.find((descriptor) => descriptor.annotations?.[REF_NAME] === name);
        if (found !== undefined) return { descriptor: found, by: 'name' };
      }
      throw this.#noSuchImage(text, manifests);
    }
    const reference = parseReference(text);
    for (const name of lookupNames(reference)) {
      const found = manifests.find((descriptor) =>
        reference.digest === undefined
          ? descriptor.annotations?.[REF_NAME] === name
          : descriptor.digest === reference.digest &&
            descriptor.annotations?.[REF_NAME]?.startsWith(`${name.slice(0, name.lastIndexOf(':'))}:`),
      );
      if (found !== undefined) return { descriptor: found, by: 'name' };
    }
    throw this.#noSuchImage(text, manifests);
  }

  #noSuchImage(text: string, manifests: readonly Descriptor[]): ImgbootError {
    const names = manifests.flatMap((descriptor) => descriptor.annotations?.[REF_NAME] ?? []);
    return new ImgbootError('IMGBOOT_NO_SUCH_IMAGE', `the store ${this.paths.root} has no image ${text}`, {
      hint:
        names.length === 0
          ? 'it has none yet: imgboot bootstrap, import, load or pull brings one'
          : `it has ${names.join(', ')}`,
    });
  }
}

function noStore(path: string, cause: unknown): ImgbootError {
  if (errnoOf(cause) === 'EACCES') {
    return new ImgbootError('IMGBOOT_NEEDS_ROOT', `the store ${path} is root's: permission denied`, {
      cause,
      hint: `sudo imgboot ${process.argv.slice(2).join(' ')}`,
    });
  }
  return new ImgbootError('IMGBOOT_NO_STORE', `there is no store at ${path}`, {
    cause,
    hint: 'imgboot bootstrap, import, load or pull makes it; --store or IMGBOOT_STORE names another place',
  });
}
