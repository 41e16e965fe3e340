import { basename, dirname, join, relative } from 'node:path';
import { readBootReport } from '../boot/boot-report.ts';
import { allVersions, readDeployments, type NamedVersion } from '../deploy/deployments.ts';
import { persistedDirectory } from '../deploy/persist.ts';
import { findRoot, type KeptRoot } from '../drift/kept-root.ts';
import { ImgbootError } from '../errors.ts';
import type { ChainId } from '../image/digest.ts';
import { chainLayers } from '../store/collect.ts';
import { imageLayerSteps } from '../store/describe.ts';
import type { Image } from '../store/image.ts';
import type { Store } from '../store/store.ts';
import { listMounts } from '../system/mountinfo.ts';
import { instructionOf } from './instruction.ts';
import type { Level } from './levels.ts';

/** A layer of an image, and the instruction that made it. */
export interface LayerOrigin {
  kind: 'layer';
  /** From 1, the lowest. */
  number: number;
  of: number;
  /** Of its blob; null where the image is no longer in the store. */
  digest: string | null;
  /** As a Dockerfile has it; empty where the image does not say. */
  instruction: string;
  created: string | null;
}

/** This machine's own files, which the initramfs laid over the image. */
export interface TopLayerOrigin {
  kind: 'top layer';
  digest: string | null;
}

/** What systems wrote to while they ran. */
export interface WritableOrigin {
  kind: 'writable layer';
  /** In the store: `deployments/desktop/3/ephemeral`; null in RAM. */
  layer: string | null;
}

/** A directory that outlives its image. */
export interface PersistPlace {
  kind: 'persistent directory';
  path: string;
  /** Where it lies. */
  directory: string;
}

/** Something that is mounted over the running root. */
export interface MountPlace {
  kind: 'mount';
  path: string;
  fstype: string;
  source: string;
}

/** A root file system whose levels are known, bottom first. */
export interface Subject {
  kind: 'image' | 'deployment';
  /** `desktop/3`, or an image's reference. */
  name: string;
  running: boolean;
  levels: { level: Level; by: LayerOrigin | TopLayerOrigin | WritableOrigin }[];
  /** Directories that lie elsewhere. */
  places: (PersistPlace | MountPlace)[];
  /** What the user should know of it. */
  notes: string[];
}

/** What is meant. */
export interface SubjectChoice {
  /**
   * A version of a deployment, a deployment (the version that runs, is the default, or is its newest, in this order), or an
   * image; where undefined the system that runs, or else the default.
   */
  name: string | undefined;
  /** A writable layer of it, as {@link findRoot} takes it. */
  layer: string | undefined;
}

/** @throws IMGBOOT_NO_SUCH_IMAGE, IMGBOOT_NO_DEPLOYMENTS, IMGBOOT_NO_SUCH_ROOT */
export async function findSubject(store: Store, { name, layer }: SubjectChoice): Promise<Subject> {
  const version = name === undefined ? defaultVersion(store) : versionOf(store, name);
  if (name !== undefined && version === undefined && layer === undefined) return imageSubject(store, name);
  try {
    return rootSubject(store, await findRoot(store, { name: version?.id ?? name, layer }));
  } catch (error) {
    const isUntold = error instanceof ImgbootError && untold.has(error.code);
    if (!isUntold || version === undefined || layer !== undefined) throw error;
    return unbootedSubject(store, version, error);
  }
}

/** Where nothing tells what a system made of a version. */
const untold = new Set(['IMGBOOT_NO_SUCH_ROOT', 'IMGBOOT_UNKNOWN_ORIGIN']);

/** What is booted by default, where no deployment of this store runs, nor an image of it. */
function defaultVersion(store: Store): NamedVersion | undefined {
  const deployments = readDeployments(store.paths);
  const running = readBootReport();
  if (running?.writable?.got != null && running.deployment === undefined) return undefined;
  const versions = deployments === undefined ? [] : allVersions(deployments);
  return (
    versions.find(({ id }) => id === running?.deployment?.got) ??
    versions.find(({ id }) => id === deployments?.default)
  );
}

function versionOf(store: Store, text: string): NamedVersion | undefined {
  const deployments = readDeployments(store.paths);
  if (deployments === undefined) return undefined;
  const meant = allVersions(deployments).filter(({ id, name }) => id === text || name === text);
  const running = readBootReport()?.deployment?.got;
  return (
    meant.find(({ id }) => id === running) ??
    meant.find(({ id }) => id === deployments.default) ??
    meant.at(-1)
  );
}

function imageSubject(store: Store, text: string): Subject {
  const image = store.image(text);
  const levels = imageLevels(store, image);
  return { ...nothing, kind: 'image', name: image.reference ?? image.id, levels };
}

const nothing = { running: false, places: [], notes: [] };

/** A root that runs, or is kept. */
function rootSubject(store: Store, root: KeptRoot): Subject {
  const levels = chainLevels(store, root.chainId);
  const notes: string[] = [];
  const isWhole = store.driver.name === 'btrfs';
  const isInRam = root.layer === 'ram';
  if (typeof root.topLayer === 'object') {
    const { directory } = root.topLayer;
    // Of btrfs, a subvolume with image and top layer; in RAM a directory, whatever the store is on.
    const level = { directory, whole: isWhole && !isInRam };
    levels.push({ level, by: { kind: 'top layer', digest: digestOf(root, directory) } });
  } else if (root.topLayer === 'unknown')
    notes.push(
      'nothing tells any more what its top layer was: what that brought is told as written by the system',
    );
  levels.push({
    level: isInRam
      ? { directory: '/', whole: true }
      : { directory: isWhole ? root.directory : join(root.directory, 'upper'), whole: isWhole },
    by: { kind: 'writable layer', layer: isInRam ? null : relative(store.paths.root, root.directory) },
  });
  return {
    kind: root.version === undefined ? 'image' : 'deployment',
    name: root.name,
    running: root.booted,
    levels,
    // A persistent directory is mounted, too, and found first.
    places: [...persistOf(store, root.version), ...(root.booted ? mountsOverRoot() : [])],
    notes,
  };
}

/** A version that was never booted, or of which nothing is kept. */
function unbootedSubject(store: Store, version: NamedVersion, why: Error): Subject {
  const what = version.topLayer.length > 0 ? 'its image, without its top layer' : 'its image';
  return {
    ...nothing,
    kind: 'deployment',
    name: version.id,
    levels: chainLevels(store, version.chain),
    places: persistOf(store, version),
    notes: [`${why.message}: this is ${what}`],
  };
}

/** A top layer on the disk has its digest in its name. */
function digestOf({ layer }: KeptRoot, directory: string): string | null {
  if (layer === 'ram') return readBootReport()?.topLayer?.digest ?? null;
  const names = [basename(directory), basename(dirname(directory))];
  const hex = names.map((name) => /^base\.([0-9a-f]{64})\./.exec(name)?.[1]).find(Boolean);
  return hex === undefined ? null : `sha256:${hex}`;
}

function persistOf(store: Store, version: NamedVersion | undefined): PersistPlace[] {
  if (version === undefined) return [];
  const { name, persist } = version;
  return persist.map((path) => ({
    kind: 'persistent directory',
    path,
    directory: persistedDirectory(store, name, path),
  }));
}

/** With what made them, where the image is still in the store. */
function chainLevels(store: Store, chain: ChainId): Subject['levels'] {
  const image = store.images().find((one) => one.layers.at(-1)?.chainId === chain);
  if (image !== undefined) return imageLevels(store, image);
  const names = chainLayers(store, chain).toReversed();
  const unknown = { digest: null, instruction: '', created: null };
  return names.map((name, index) => ({
    level: { directory: store.paths.layer(name), whole: store.driver.name === 'btrfs' },
    by: { kind: 'layer', number: index + 1, of: names.length, ...unknown },
  }));
}

function imageLevels(store: Store, image: Image): Subject['levels'] {
  return imageLayerSteps(image).map(({ layer, createdBy, created }, index) => ({
    level: {
      directory: store.paths.layer(image.layers[index]!.name),
      whole: store.driver.name === 'btrfs',
    },
    by: {
      kind: 'layer',
      number: index + 1,
      of: image.layers.length,
      digest: layer,
      instruction: instructionOf(createdBy),
      created,
    },
  }));
}

function mountsOverRoot(): MountPlace[] {
  return listMounts()
    .filter(({ target }) => target !== '/')
    .map(({ target, fstype, source }) => ({ kind: 'mount', path: target, fstype, source }));
}
