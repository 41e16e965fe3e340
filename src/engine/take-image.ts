import { ImgbootError } from '../errors.ts';
import { chainIds } from '../image/chain-id.ts';
import { hexOf, type ChainId } from '../image/digest.ts';
import { parseEngineName, storedEngineName, type EngineName } from '../image/engine-name.ts';
import { inspectRemote } from '../image/inspect-remote.ts';
import type { Descriptor } from '../image/manifest.ts';
import { parseReference } from '../image/reference.ts';
import type { ImageName } from '../image/transport.ts';
import { writeManifest } from '../store/add-image.ts';
import { borrowLayers } from '../store/borrowed.ts';
import { fetchImage } from '../store/pull.ts';
import { readImage } from '../store/image.ts';
import type { Store } from '../store/store.ts';
import type { Workspace } from '../store/workspace.ts';
import type { OperationOptions } from '../system/progress.ts';
import type { EngineImage } from './engine-store.ts';
import { openEngineStore } from './open-store.ts';

/**
 * Has an image of another engine's store in ours, under its name there (`docker://desktop:latest`): as it is there now.
 * Its layers are shared where the file system allows it, and else copied by skopeo. A plain reference is left alone.
 * @returns the reference under which the store has it; an image ID where an ID was given
 * @throws IMGBOOT_NO_ENGINE_STORE, IMGBOOT_NO_SUCH_IMAGE, IMGBOOT_BROKEN_ENGINE_STORE, IMGBOOT_COPY_FAILED
 */
export async function takeImage(store: Store, text: string, options: OperationOptions): Promise<string> {
  const asked = parseEngineName(text);
  if (asked === undefined) return text;
  await using workspace = await store.workspace();
  using _content = await store.lockContent('shared', options);
  const { descriptor, name } = await bring(store, asked, { ...options, workspace });
  if (name === undefined) {
    await store.keep(descriptor);
    return readImage(store.paths, descriptor).id;
  }
  const stored = storedEngineName({ ...asked, reference: name });
  await store.nameAsEngine(descriptor, stored);
  return stored;
}

/** The root file system of what a name means in another engine's store now. */
export async function engineChain(asked: EngineName, options: OperationOptions): Promise<ChainId> {
  const found = await findImage(asked);
  if (found !== undefined) return found.image.layers.at(-1)!.chainId;
  const config = await inspectRemote(nameForSkopeo(asked), options);
  return chainIds(config.rootfs.diff_ids).at(-1)!;
}

async function bring(
  store: Store,
  asked: EngineName,
  options: OperationOptions & { workspace: Workspace },
): Promise<{ descriptor: Descriptor; name: string | undefined }> {
  const found = await findImage(asked);
  // A store of a kind that only its engine can read.
  if (found === undefined) {
    const descriptor = await fetchImage(store, { ...options, from: nameForSkopeo(asked) });
    return { descriptor, name: isName(asked.reference) ? withTag(asked.reference) : undefined };
  }
  const { image, name, source } = found;
  const known = store.images().find(({ id }) => id === image.id);
  if (known !== undefined) return { descriptor: known.descriptor, name };
  const layers = await bringLayers(store, image, { ...options, from: source });
  const { workspace } = options;
  return { descriptor: writeManifest(store.paths, { config: image.configBytes, layers, workspace }), name };
}

async function bringLayers(
  store: Store,
  image: EngineImage,
  { from, ...options }: OperationOptions & { workspace: Workspace; from: ImageName },
): Promise<Descriptor[]> {
  if (image.layers.length === 0)
    throw new ImgbootError('IMGBOOT_EMPTY_IMAGE', `the image ${image.id} has no files`);
  if (image.driver === store.driver.name) {
    const borrowed = await borrowLayers(store, { ...options, layers: image.layers, source: from });
    if (borrowed !== undefined) return borrowed;
  }
  const descriptor = await fetchImage(store, { ...options, from });
  return readImage(store.paths, descriptor).manifest.layers;
}

/** What a name means, and where skopeo finds that. Undefined where only its engine can read the store. */
async function findImage(
  asked: EngineName,
): Promise<{ image: EngineImage; name: string | undefined; source: ImageName } | undefined> {
  try {
    const store = await openEngineStore(asked);
    const found = store.find(asked.reference);
    const { id, driver } = found.image;
    const source: ImageName =
      asked.engine === 'docker'
        ? `docker-daemon:${id}`
        : `containers-storage:[${driver}@${store.root}]${hexOf(id)}`;
    return { ...found, source };
  } catch (error) {
    if (error instanceof ImgbootError && error.code === 'IMGBOOT_UNSUPPORTED_ENGINE_DRIVER') return undefined;
    throw error;
  }
}

/** @see containers-transports(5) */
function nameForSkopeo({ engine, place, reference }: EngineName): ImageName {
  const name = isName(reference) ? withTag(reference) : reference;
  if (engine === 'docker') return `docker-daemon:${name}`;
  const driver = place?.driver === undefined ? '' : `${place.driver}@`;
  return `containers-storage:${place === undefined ? '' : `[${driver}${place.root}]`}${name.replace(/^sha256:/, '')}`;
}

/** Whether a reference can be an image's name in a store; content is named by an ID or a digest. */
function isName(reference: string): boolean {
  return !/^(sha256:)?[0-9a-f]{12,64}$|@/.test(reference);
}

function withTag(reference: string): string {
  const { name, tag } = parseReference(reference);
  return `${name}:${tag ?? 'latest'}`;
}
