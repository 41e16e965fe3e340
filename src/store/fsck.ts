import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, readdirSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { errorMessage } from '../errors.ts';
import { hexOf } from '../image/digest.ts';
import { REF_NAME, type Descriptor } from '../image/manifest.ts';
import { compareTrees } from '../layer/compare-trees.ts';
import { isSubvolume, subvolumeUuid } from '../system/btrfs.ts';
import type { OperationOptions } from '../system/progress.ts';
import { bootFiles } from './boot-files.ts';
import { findGarbage, readRecord, removeGarbage } from './collect.ts';
import { readImage, type Image, type ImageLayer } from './image.ts';
import { readIndex } from './index-file.ts';
import type { Store } from './store.ts';
import { publishLayer, runUnpack } from './unpack.ts';
import type { Workspace } from './workspace.ts';

export type ProblemKind = 'blob' | 'layer' | 'boot-file' | 'garbage' | 'image';

/** Something that is not as the index says. */
export interface Problem {
  kind: ProblemKind;
  /** The digest, layer or file that it is about. */
  subject: string;
  message: string;
  repaired: boolean;
}

/**
 * Proves a store: every blob matches its digest, every layer is what its tar makes on its parent (it is unpacked
 * again beside it and compared), the boot files follow from the index, nothing lies about unused. Costs what
 * unpacking every image costs. With `repair`, layers are unpacked anew from their blobs, boot files are written
 * anew, damaged blobs (which no machine can restore) and garbage are deleted.
 */
export async function fsck(
  store: Store,
  { repair, ...options }: OperationOptions & { repair: boolean },
): Promise<Problem[]> {
  const before = strayBootFiles(store);
  await using workspace = await store.workspace();
  using _content = await store.lockContent('exclusive', options);
  const check = new Check(store, { repair, workspace, options });
  // workspace() has written them anew.
  for (const name of before)
    check.found({
      kind: 'boot-file',
      subject: name,
      message: `boot/${name} does not follow from the index`,
      repaired: true,
    });
  for (const descriptor of readIndex(store.paths).manifests) await check.image(descriptor);
  check.garbage();
  return check.problems;
}

class Check {
  readonly problems: Problem[] = [];
  readonly #store: Store;
  readonly #repair: boolean;
  readonly #workspace: Workspace;
  readonly #options: OperationOptions;
  readonly #goodBlobs = new Map<string, boolean>();
  readonly #goodLayers = new Map<string, boolean>();

  constructor(store: Store, context: { repair: boolean; workspace: Workspace; options: OperationOptions }) {
    this.#store = store;
    this.#repair = context.repair;
    this.#workspace = context.workspace;
    this.#options = context.options;
  }

  found(problem: Problem): void {
    this.problems.push(problem);
  }

  async image(descriptor: Descriptor): Promise<void> {
    const name = descriptor.annotations?.[REF_NAME] ?? descriptor.digest;
    let image: Image;
    try {
      image = readImage(this.#store.paths, descriptor);
    } catch (error) {
      this.found({ kind: 'image', subject: name, message: errorMessage(error), repaired: false });
      return;
    }
    const parents: ImageLayer[] = [];
    for (const layer of image.layers) {
      this.#options.signal?.throwIfAborted();
      this.#options.progress?.({
        step: `checking layer ${parents.length + 1} of ${image.layers.length} of ${name}`,
      });
      const whole = (await this.#blob(layer)) && (await this.#layer(layer, parents));
      if (!whole) return;
      parents.push(layer);
    }
  }

  garbage(): void {
    const garbage = findGarbage(this.#store);
    if (this.#repair) removeGarbage(this.#store, garbage);
    for (const subject of [...garbage.blobs, ...garbage.layers]) {
      this.found({ kind: 'garbage', subject, message: 'nothing refers to it', repaired: this.#repair });
    }
  }

  async #blob({ descriptor: { digest, size } }: ImageLayer): Promise<boolean> {
    const known = this.#goodBlobs.get(digest);
    if (known !== undefined) return known;
    const message = await blobDamage(this.#store.paths.blob(digest), {
      hex: hexOf(digest),
      size,
      signal: this.#options.signal,
    });
    this.#goodBlobs.set(digest, message === undefined);
    if (message === undefined) return true;
    const present = existsSync(this.#store.paths.blob(digest));
    if (this.#repair && present) unlinkSync(this.#store.paths.blob(digest));
    const advice = 'load or pull the image again';
    this.found({
      kind: 'blob',
      subject: digest,
      message: `${message}; ${this.#repair && present ? `deleted, ${advice}` : advice}`,
      repaired: false,
    });
    return false;
  }

  /** Unpacks the layer beside itself and compares. */
  async #layer(layer: ImageLayer, parents: ImageLayer[]): Promise<boolean> {
    const known = this.#goodLayers.get(layer.chainId);
    if (known !== undefined) return known;
    const newName = this.#workspace.newLayerName(this.#goodLayers.size);
    const aside = join(this.#store.paths.layers, newName);
    const { digest } = layer.descriptor;
    const source = { path: this.#store.paths.blob(digest), expected: { digest, diffId: layer.diffId } };
    let message: string | undefined;
    try {
      await runUnpack(this.#store, {
        signal: this.#options.signal,
        workspace: this.#workspace,
        parents,
        steps: [{ newName, source }],
      });
      message = this.#layerDamage(layer, aside);
      if (message !== undefined) this.#layerProblem(layer, { message, newName, parents });
    } catch (error) {
      this.found({ kind: 'layer', subject: layer.chainId, message: errorMessage(error), repaired: false });
    } finally {
      this.#store.driver.remove(aside);
    }
    const good = message === undefined || this.#repair;
    this.#goodLayers.set(layer.chainId, good);
    return good;
  }

  #layerDamage(layer: ImageLayer, fresh: string): string | undefined {
    const place = this.#store.paths.layer(layer.name);
    if (!existsSync(place)) return 'it is not unpacked';
    const record = readRecord(this.#store, layer.name);
    if (record?.chainId !== layer.chainId) return 'its record is missing or of another layer';
    if (record.uuid !== null && (!isSubvolume(place) || subvolumeUuid(place) !== record.uuid))
      return 'it is not the subvolume that was made for it';
    const [difference, ...more] = compareTrees(place, fresh);
    if (difference === undefined) return undefined;
    const where = Buffer.from(difference.path, 'latin1').toString();
    return `it is not what its blob makes: ${JSON.stringify(where)}: ${difference.what}${more.length > 0 ? `, and ${more.length} more` : ''}`;
  }

  #layerProblem(
    layer: ImageLayer,
    { message, newName, parents }: { message: string; newName: string; parents: ImageLayer[] },
  ): void {
    if (this.#repair) {
      this.#store.driver.remove(this.#store.paths.layer(layer.name));
      publishLayer(this.#store, {
        newName,
        name: layer.name,
        record: { chainId: layer.chainId, diffId: layer.diffId, parent: parents.at(-1)?.chainId ?? null },
      });
    }
    this.found({ kind: 'layer', subject: layer.chainId, message, repaired: this.#repair });
  }
}

async function blobDamage(
  path: string,
  { hex, size, signal }: { hex: string; size: number; signal: AbortSignal | undefined },
): Promise<string | undefined> {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return 'the blob is missing';
  if (stats.size !== size) return `the blob has ${stats.size} bytes in place of ${size}`;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, signal }))
    hash.update(chunk as Buffer);
  return hash.digest('hex') === hex ? undefined : 'the blob does not match its digest';
}

/** Boot files that are missing, stale or without an image. */
function strayBootFiles(store: Store): string[] {
  let wanted: Map<string, string>;
  try {
    wanted = bootFiles({ paths: store.paths, driver: store.driver.name }, readIndex(store.paths));
  } catch {
    // A broken image is reported as such.
    return [];
  }
  const present = readdirSync(store.paths.boot);
  return [
    ...[...wanted]
      .filter(
        ([name, content]) =>
          !present.includes(name) || readFileSync(join(store.paths.boot, name), 'utf8') !== content,
      )
      .map(([name]) => name),
    ...present.filter((name) => !wanted.has(name)),
  ];
}
