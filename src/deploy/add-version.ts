import { existsSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { defaultModuleSelection, type ModuleSelection } from '../initramfs/module-request.ts';
import { kernelViews, readRootStack } from '../initramfs/root-stack.ts';
import { checkKernelWords } from '../loader/kernel-words.ts';
import { UnreadableImage, tryReadImage, type Image } from '../store/image.ts';
import type { Store } from '../store/store.ts';
import { freeBytes } from '../system/free-space.ts';
import type { OperationOptions } from '../system/progress.ts';
import { versionBootFile } from './boot-file.ts';
import type { Change } from './change.ts';
import { newCollisions, noCollisions, type Collisions } from './collisions.ts';
import {
  allVersions,
  versionDirectory,
  type BootSettings,
  type Deployment,
  type Deployments,
  type NamedVersion,
  type Version,
} from './deployments.ts';
import { readFacts } from './facts.ts';
import { presentVersion } from './find.ts';
import type { Candidate, Gate, GateReport } from './gate.ts';
import { loaderPlan } from './loader-plan.ts';
import { makeVersion } from './make-version.ts';
import { seedPersistent } from './persist.ts';
import { unprotected, unretained, withDefault, withoutVersions } from './retain.ts';
import { entryId } from './version-name.ts';

/** A version that has been made. */
export interface Deployed {
  /** `desktop/3` */
  id: string;
  name: string;
  number: number;
  /** The image ID. */
  image: string;
  kver: string;
  /** Versions that nothing kept. */
  removed: string[];
  /** Of its top layer with the image. */
  collisions: Collisions;
  /** What was seen of it before, where there was a gate. */
  gate?: GateReport | undefined;
}

export interface VersionRequest extends OperationOptions {
  change: Change;
  name: string;
  image: Image;
  settings: BootSettings;
  keep: number;
  modules?: ModuleSelection | undefined;
  kver?: string | undefined;
  /** It becomes the default only where this lets it. */
  gate?: Gate | undefined;
}

/** Room for a kernel and an initramfs for any machine. */
const USUAL_BYTES = 128 * 2 ** 20;

/** Makes a version and makes it the default. What fails or is stopped leaves everything as it was. */
export async function addVersion(store: Store, request: VersionRequest): Promise<Deployed> {
  const { change, name, image, settings, progress, signal } = request;
  const before = change.deployments;
  checkKernelWords([...settings.topLayer, ...settings.append].join(' '), before.machine.loader);
  requireLayers(store, image);
  requireSpace(store, before, name);
  let next: Deployments;
  let removed: NamedVersion[];
  const number = before.deployments.find((one) => one.name === name)?.next ?? 1;
  let kver: string;
  const collisions = await collisionsOf(store, request);
  let gate: GateReport | undefined;
  {
    // Nobody may take the layers away until deployments.json names them.
    using _content = await store.lockContent('shared', request);
    change.spare(`${name}/${number}`);
    try {
      const version = { name, number, reference: settings.reference };
      kver = await makeVersion(store, {
        version,
        image,
        modules: modulesFor(store, change, request.modules),
        kver: request.kver,
        progress,
        signal,
      });
      const made = { ...settings, number, image: image.id, chain: image.layers.at(-1)!.chainId, kver };
      const more = withVersion(before, { name, keep: request.keep, version: made });
      const staged = withDefault(more, `${name}/${number}`, change.facts);
      // First, because what is seeded stays.
      gate = await request.gate?.(store, candidateOf(store, { image, staged, id: `${name}/${number}` }), {
        progress,
        signal,
      });
      const { persist } = settings;
      await seedPersistent(store, { name, image, persist, progress, signal });
      progress?.({ step: `writing the boot entries of ${name}/${number}` });
      removed = unretained(staged, readFacts(store.paths, staged));
      await stageWithRoom(change, { staged, removed });
      signal?.throwIfAborted();
      next = withoutVersions(staged, idsOf(removed));
    } catch (error) {
      await change.undo();
      throw error;
    }
    await change.commit(next);
  }
  await forgetImages(store, { next, removed });
  return {
    id: `${name}/${number}`,
    name,
    number,
    image: image.id,
    kver,
    removed: removed.map(({ id }) => id),
    collisions,
    ...(gate === undefined ? {} : { gate }),
  };
}

/** What collides that did not with the version of that name which is booted now; of another machine nothing is known. */
async function collisionsOf(store: Store, request: VersionRequest): Promise<Collisions> {
  const { change, name, image, settings, progress, signal } = request;
  if (change.bootDirectory !== undefined) return noCollisions;
  const known = change.deployments.deployments.find((one) => one.name === name);
  const present = known && presentVersion(change.deployments, known);
  return await newCollisions(store, { image, settings, present, progress, signal });
}

/** A version as the loader would start it. */
function candidateOf(
  store: Store,
  { image, staged, id }: { image: Image; staged: Deployments; id: string },
): Candidate {
  const version = allVersions(staged).find((one) => one.id === id)!;
  const facts = readFacts(store.paths, staged);
  const { entries } = loaderPlan(store.paths, { deployments: staged, facts, counting: 'no' });
  const { options } = entries.find((entry) => entry.id === entryId(version))!;
  const bootFile = versionBootFile(store, { version, deployments: staged, facts });
  return { version, image, machine: staged.machine, bootFile, options };
}

/**
 * Brings the new version to the loader. Where there is no room for it beside all others, those that it displaces go
 * first, but for what the machine may need meanwhile.
 */
async function stageWithRoom(
  change: Change,
  { staged, removed }: { staged: Deployments; removed: readonly NamedVersion[] },
): Promise<void> {
  try {
    await change.stage(staged);
  } catch (error) {
    const expendable = idsOf(unprotected(change.deployments, change.facts));
    const early = new Set([...idsOf(removed)].filter((id) => expendable.has(id)));
    if (early.size === 0 || !(error instanceof ImgbootError) || error.code !== 'IMGBOOT_NO_SPACE')
      throw error;
    await change.commit(withoutVersions(change.deployments, early));
    await change.stage(withoutVersions(staged, early));
  }
}

function idsOf(versions: readonly NamedVersion[]): Set<string> {
  return new Set(versions.map(({ id }) => id));
}

/** The deployments with one more version. Pure but for the time. */
function withVersion(
  before: Deployments,
  { name, keep, version }: { name: string; keep: number; version: Omit<Version, 'created' | 'pinned'> },
): Deployments {
  // Entries are sorted by it, whatever the clock says.
  const latest = Math.max(0, ...allVersions(before).map(({ created }) => Date.parse(created) + 1));
  const created = new Date(Math.max(Date.now(), latest)).toISOString();
  const known = before.deployments.find((one) => one.name === name);
  const versions = [...(known?.versions ?? []), { ...version, created, pinned: false }];
  const deployment: Deployment = { name, keep, next: version.number + 1, versions };
  return {
    ...before,
    deployments: [...before.deployments.filter((one) => one !== known), deployment],
  };
}

/** On the machine that it is for, its store is on what the version has to be able to open. */
function modulesFor(
  store: Store,
  { bootDirectory }: Change,
  asked: ModuleSelection | undefined,
): ModuleSelection {
  const modules = asked ?? defaultModuleSelection;
  if (bootDirectory !== undefined) return modules;
  return { ...modules, roots: [readRootStack(kernelViews, [realpathSync(store.paths.root)])] };
}

/** @throws IMGBOOT_LAYER_MISSING */
function requireLayers(store: Store, image: Image): void {
  const missing = image.layers.find(({ name }) => !existsSync(store.paths.layer(name)));
  if (missing === undefined && image.layers.length > 0) return;
  const what = missing === undefined ? 'has no layers' : `has lost the layer ${missing.name}`;
  throw new ImgbootError('IMGBOOT_LAYER_MISSING', `the image ${image.reference ?? image.id} ${what}`, {
    hint: 'imgboot fsck --repair unpacks it again',
  });
}

/** @throws IMGBOOT_NO_SPACE */
function requireSpace(store: Store, { deployments }: Deployments, name: string): void {
  const last = deployments.find((one) => one.name === name)?.versions.at(-1);
  const directory =
    last === undefined ? undefined : versionDirectory(store.paths, { name, number: last.number });
  const sizes = ['vmlinuz', 'initrd.img'].map((file) =>
    directory === undefined ? undefined : statSync(join(directory, file), { throwIfNoEntry: false })?.size,
  );
  const known = sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  // The next kernel may be somewhat larger.
  const needed = known === 0 ? USUAL_BYTES : Math.ceil(known * 1.25);
  const free = freeBytes(store.paths.root);
  if (free >= needed) return;
  const mb = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;
  throw new ImgbootError(
    'IMGBOOT_NO_SPACE',
    `the store's file system has ${mb(free)} free, and a version of ${name} needs ${mb(needed)}`,
    { hint: 'imgboot prune frees what no image needs; undeploy what is not needed' },
  );
}

/** The images of versions that are gone, where an upgrade has taken their names. */
export async function forgetImages(
  store: Store,
  { next, removed }: { next: Deployments; removed: readonly NamedVersion[] },
): Promise<void> {
  if (removed.length === 0) return;
  const used = new Set(allVersions(next).map(({ image }) => image));
  const gone = new Set(removed.map(({ image }) => image).filter((image) => !used.has(image)));
  if (gone.size === 0) return;
  await using _workspace = await store.workspace();
  await store.forget((descriptor) => {
    const image = tryReadImage(store.paths, descriptor);
    return !(image instanceof UnreadableImage) && image.reference === undefined && gone.has(image.id);
  });
}
