import { existsSync, readFileSync, readdirSync, statSync, unlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { hexOf, parseDigest, type ChainId } from '../image/digest.ts';
import { REF_NAME, type Descriptor } from '../image/manifest.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import { sha256OfFile } from '../system/hash-file.ts';
import type { OperationOptions } from '../system/progress.ts';
import { borrowedFrom } from './borrowed.ts';
import { bootFiles } from './boot-files.ts';
import { chainLayers, findGarbage, readRecord, removeGarbage } from './collect.ts';
import type { CheckJob, CheckResult, Damage } from './check.job.ts';
import { deployedVersions } from './deployed.ts';
import { UnreadableImage, tryReadImage, type ImageLayer } from './image.ts';
import { readIndex } from './index-file.ts';
import type { Store } from './store.ts';
import { publishLayer } from './unpack.ts';
import type { Workspace } from './workspace.ts';

export type ProblemKind = 'blob' | 'layer' | 'boot-file' | 'garbage' | 'image' | 'container' | 'deployment';

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
 * again beside it and compared), the boot files follow from the index, what is deployed is there, nothing lies about unused. Costs what
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
  // workspace() has written them anew. After a kill that is no finding: between the index and them is a moment.
  for (const name of workspace.sweptAfterKill ? [] : before)
    check.found({
      kind: 'boot-file',
      subject: name,
      message: `boot/${name} does not follow from the index`,
      repaired: true,
    });
  for (const descriptor of readIndex(store.paths).manifests) await check.image(descriptor);
  check.deployments();
  check.garbage();
  // A layer that is back makes its images bootable again.
  if (repair) await store.refreshBootFiles();
  return check.problems;
}

class Check {
  readonly problems: Problem[] = [];
  readonly #store: Store;
  readonly #repair: boolean;
  readonly #workspace: Workspace;
  readonly #options: OperationOptions;
  readonly #goodLayers = new Set<string>();
  readonly #badLayers = new Set<string>();
  readonly #checkedBlobs = new Set<string>();
  #checked = 0;

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
    const image = tryReadImage(this.#store.paths, descriptor);
    if (image instanceof UnreadableImage) {
      this.found({ kind: 'image', subject: name, message: image.error.message, repaired: false });
      return;
    }
    for (const layer of image.layers) this.#borrowed(layer);
    for (let from = 0; from < image.layers.length;) from = await this.#layers(image.layers, from, name);
    // One layer may have several blobs: compressed in another way, it is another.
    for (const layer of image.layers) {
      if (this.#goodLayers.has(layer.chainId)) await this.#blob(layer);
    }
  }

  /** What a version is booted with; only deploying it again makes it anew. */
  deployments(): void {
    const { paths } = this.#store;
    for (const { id, chain } of deployedVersions(paths)) {
      const parts = ['boot', 'vmlinuz', 'initrd.img'].map((name) => join(paths.deployments, id, name));
      const layers = chainLayers(this.#store, parseDigest(chain) as string as ChainId);
      const missing = [...parts, ...layers.map((name) => paths.layer(name))].find(
        (path) => !existsSync(path),
      );
      if (missing === undefined) continue;
      const message = `${relative(paths.root, missing)} is missing; deploy the image again`;
      this.found({ kind: 'deployment', subject: id, message, repaired: false });
    }
  }

  garbage(): void {
    const garbage = findGarbage(this.#store);
    if (this.#repair) removeGarbage(this.#store, garbage);
    for (const subject of [...garbage.blobs, ...garbage.layers]) {
      this.found({ kind: 'garbage', subject, message: 'nothing refers to it', repaired: this.#repair });
    }
  }

  /** A borrowed layer is not compared with its tar, which may not be here: it has to be there, and the one it was. */
  #borrowed(layer: ImageLayer): void {
    const source = borrowedFrom(layer.descriptor);
    // What has no blob.
    if (source !== undefined) this.#checkedBlobs.add(layer.descriptor.digest);
    const { chainId, name } = layer;
    const record = readRecord(this.#store, name);
    if ((source === undefined && record?.borrowed !== true) || this.#goodLayers.has(chainId)) return;
    const path = this.#store.paths.layer(name);
    const isThere = existsSync(path) && (this.#store.driver.identify(path) ?? null) === record?.uuid;
    if (isThere) this.#goodLayers.add(chainId);
    if (isThere || source === undefined || this.#badLayers.has(chainId)) return;
    this.#badLayers.add(chainId);
    const message = `it is not as it was made; remove the image, and take it from ${source} again`;
    this.found({ kind: 'layer', subject: chainId, message, repaired: false });
  }

  /** Checks layers from `from` on, in one process. @returns where to go on: past a layer that was repaired, or the end */
  async #layers(layers: readonly ImageLayer[], from: number, image: string): Promise<number> {
    const unknown = layers.slice(from).filter((layer) => !this.#goodLayers.has(layer.chainId));
    const first = layers.length - unknown.length;
    if (unknown.length === 0 || this.#badLayers.has(unknown[0]!.chainId)) return layers.length;
    const newNames = unknown.map((_, index) => this.#workspace.newLayerName(this.#checked + index));
    this.#checked += unknown.length;
    const job: CheckJob = {
      driver: this.#store.driver.name,
      layers: this.#store.paths.layers,
      scratch: this.#workspace.path,
      image,
      offset: first,
      parents: layers
        .slice(0, first)
        .map((layer) => layer.name)
        .toReversed(),
      steps: unknown.map((layer, index) => this.#step(layer, newNames[index]!)),
    };
    const { good, damage } = await runIsolated<CheckJob, CheckResult>(
      jobModule(import.meta.url, 'check.job'),
      job,
      this.#options,
    );
    for (const { chainId, descriptor } of unknown.slice(0, good)) {
      this.#goodLayers.add(chainId);
      this.#checkedBlobs.add(descriptor.digest);
    }
    if (damage === undefined) return layers.length;
    const layer = unknown[good]!;
    if (
      !(await this.#report(layer, { damage, newName: newNames[good]!, parent: layers[first + good - 1] }))
    ) {
      this.#badLayers.add(layer.chainId);
      return layers.length;
    }
    this.#goodLayers.add(layer.chainId);
    return first + good + 1;
  }

  #step(layer: ImageLayer, newName: string): CheckJob['steps'][number] {
    const { digest } = layer.descriptor;
    const record = readRecord(this.#store, layer.name);
    return {
      newName,
      name: layer.name,
      source: { path: this.#store.paths.blob(digest), expected: { digest, diffId: layer.diffId } },
      uuid: record?.chainId === layer.chainId ? record.uuid : undefined,
    };
  }

  /** @returns whether the layer is whole now */
  async #report(
    layer: ImageLayer,
    { damage, newName, parent }: { damage: Damage; newName: string; parent: ImageLayer | undefined },
  ): Promise<boolean> {
    if (damage.kind === 'layer') {
      this.#layerProblem(layer, { message: damage.message, newName, parent });
      return this.#repair;
    }
    if (!(await this.#blob(layer)))
      this.found({ kind: 'layer', subject: layer.chainId, message: damage.message, repaired: false });
    return false;
  }

  /** @returns whether its blob is damaged */
  async #blob({ descriptor: { digest, size } }: ImageLayer): Promise<boolean> {
    if (this.#checkedBlobs.has(digest)) return false;
    this.#checkedBlobs.add(digest);
    const path = this.#store.paths.blob(digest);
    const message = await blobDamage(path, { hex: hexOf(digest), size, signal: this.#options.signal });
    if (message === undefined) return false;
    const deleted = this.#repair && existsSync(path);
    if (deleted) unlinkSync(path);
    const advice = 'load or pull the image again';
    this.found({
      kind: 'blob',
      subject: digest,
      message: `${message}; ${deleted ? `deleted, ${advice}` : advice}`,
      repaired: false,
    });
    return true;
  }

  #layerProblem(
    layer: ImageLayer,
    { message, newName, parent }: { message: string; newName: string; parent: ImageLayer | undefined },
  ): void {
    if (this.#repair) {
      this.#store.driver.remove(this.#store.paths.layer(layer.name));
      publishLayer(this.#store, {
        newName,
        name: layer.name,
        record: { chainId: layer.chainId, diffId: layer.diffId, parent: parent?.chainId ?? null },
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
  return (await sha256OfFile(path, { signal })) === hex ? undefined : 'the blob does not match its digest';
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
