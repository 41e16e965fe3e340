import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readBootReport, type BootReport } from '../boot/boot-report.ts';
import {
  allVersions,
  readDeployments,
  versionDirectory,
  type Deployments,
  type NamedVersion,
} from '../deploy/deployments.ts';
import { findVersion } from '../deploy/find.ts';
import { persistedDirectory } from '../deploy/persist.ts';
import { ImgbootError } from '../errors.ts';
import type { ChainId } from '../image/digest.ts';
import { chainLayers } from '../store/collect.ts';
import { imageLayerSteps } from '../store/describe.ts';
import type { Image } from '../store/image.ts';
import type { Store } from '../store/store.ts';
import { listMounts } from '../system/mountinfo.ts';
import { instructionOf } from './instruction.ts';
import type { Level } from './levels.ts';
import { readWritableLayer } from './writable.ts';

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

/** What a system wrote to while it ran. */
export interface WritableOrigin {
  kind: 'writable layer';
  /** In the store: `deployments/desktop/3/ephemeral`; null in RAM. */
  layer: string | null;
}

/** A root file system whose levels are known, bottom first. */
export interface Subject {
  kind: 'image' | 'deployment';
  /** `desktop/3`, or an image's reference. */
  name: string;
  running: boolean;
  levels: { level: Level; by: LayerOrigin | TopLayerOrigin | WritableOrigin }[];
  /** Directories that outlive their image, where they lie. */
  persist: { path: string; directory: string }[];
  /** What is mounted over the running root. */
  mounts: { path: string; fstype: string; source: string }[];
  /** What the user should know of it. */
  notes: string[];
}

/**
 * What is meant by a name: a version of a deployment, a deployment (the version that runs, is the default, or is its
 * newest, in this order), or an image; without one the system that runs, or else the default.
 * @throws IMGBOOT_NO_SUCH_IMAGE, IMGBOOT_NO_DEPLOYMENTS
 */
export async function findSubject(store: Store, text: string | undefined): Promise<Subject> {
  const deployments = readDeployments(store.paths);
  const report = readBootReport();
  const running = deployments && runningVersion(deployments, report);
  if (text === undefined) return await defaultSubject(store, { deployments, report, running });
  const version = deployments && versionOf(deployments, text, running);
  if (version === undefined) return imageSubject(store, text);
  return await versionSubject(store, version, version.id === running?.id ? report : undefined);
}

interface Known {
  deployments: Deployments | undefined;
  report: BootReport | undefined;
  running: NamedVersion | undefined;
}

async function defaultSubject(store: Store, { deployments, report, running }: Known): Promise<Subject> {
  if (running !== undefined) return await versionSubject(store, running, report);
  const booted = report && (await bootedImage(store, report));
  if (booted !== undefined) return booted;
  if (deployments?.default === null || deployments?.default === undefined) {
    throw new ImgbootError('IMGBOOT_NO_DEPLOYMENTS', 'nothing is deployed, and no image of this store runs', {
      hint: 'name an image of the store: imgboot why desktop /etc/passwd',
    });
  }
  return await versionSubject(store, findVersion(deployments, deployments.default), undefined);
}

/** The one that the report names, if it is this store's. */
function runningVersion(deployments: Deployments, report: BootReport | undefined): NamedVersion | undefined {
  return allVersions(deployments).find(
    ({ id, chain }) => id === report?.deployment?.got && chain === report.chain,
  );
}

function versionOf(
  deployments: Deployments,
  text: string,
  running: NamedVersion | undefined,
): NamedVersion | undefined {
  const meant = allVersions(deployments).filter(({ id, name }) => id === text || name === text);
  return (
    meant.find(({ id }) => id === running?.id) ??
    meant.find(({ id }) => id === deployments.default) ??
    meant.at(-1)
  );
}

function imageSubject(store: Store, text: string): Subject {
  const image = store.image(text);
  return {
    kind: 'image',
    name: image.reference ?? image.id,
    running: false,
    levels: imageLevels(store, image),
    persist: [],
    mounts: [],
    notes: [],
  };
}

async function versionSubject(
  store: Store,
  version: NamedVersion,
  report: BootReport | undefined,
): Promise<Subject> {
  const directory = versionDirectory(store.paths, version);
  const layer = report === undefined ? lastLayer(directory, version) : report.writable?.layer;
  const subject: Subject = {
    kind: 'deployment',
    name: version.id,
    running: report !== undefined,
    levels: chainLevels(store, version.chain, version.image),
    persist: version.persist.map((path) => ({
      path,
      directory: persistedDirectory(store, version.name, path),
    })),
    mounts: report === undefined ? [] : mountsOverRoot(),
    notes: [],
  };
  if (report !== undefined || layer !== undefined) return await withWritable(store, subject, layer ?? null);
  const what = version.topLayer.length > 0 ? ': this is its image, without its top layer' : '';
  subject.notes.push(`${version.id} has not been booted, or left nothing on the disk${what}`);
  return subject;
}

/** An image that runs without being deployed. */
async function bootedImage(store: Store, report: BootReport): Promise<Subject | undefined> {
  if (report.chain === null || report.deployment !== undefined) return undefined;
  const chain = report.chain as ChainId;
  if (!chainLayers(store, chain).every((name) => existsSync(store.paths.layer(name)))) return undefined;
  const subject: Subject = {
    kind: 'image',
    name: report.reference ?? report.image ?? chain,
    running: true,
    levels: chainLevels(store, chain, report.image),
    persist: [],
    mounts: mountsOverRoot(),
    notes: [],
  };
  return await withWritable(store, subject, report.writable?.layer ?? null);
}

/** @param layer in the store; null for one in RAM */
async function withWritable(store: Store, subject: Subject, layer: string | null): Promise<Subject> {
  const by: WritableOrigin = { kind: 'writable layer', layer };
  // What lies in RAM has no name any more: the running root itself shows it.
  if (layer === null) subject.levels.push({ level: { directory: '/', whole: true }, by });
  else {
    const { level, base } = await readWritableLayer(store.driver.name, join(store.paths.root, layer));
    if (base !== undefined)
      subject.levels.push({ level: base.level, by: { kind: 'top layer', digest: base.digest } });
    subject.levels.push({ level, by });
  }
  return subject;
}

/** What the last boot of a version wrote to. */
function lastLayer(directory: string, { id }: NamedVersion): string | undefined {
  const last = readBootReport(join(directory, 'boot.json'))?.writable?.layer;
  const layers = [last, `deployments/${id}/ephemeral`, `deployments/${id}/persistent`];
  return layers.find(
    (layer) =>
      typeof layer === 'string' &&
      layer.startsWith(`deployments/${id}/`) &&
      existsSync(join(directory, layer.slice(`deployments/${id}/`.length))),
  ) as string | undefined;
}

function chainLevels(store: Store, chain: ChainId, id: string | null): Subject['levels'] {
  const image = store.images().find((one) => one.id === id && one.layers.at(-1)?.chainId === chain);
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

function mountsOverRoot(): Subject['mounts'] {
  return listMounts()
    .filter(({ target }) => target !== '/')
    .map(({ target, fstype, source }) => ({ path: target, fstype, source }));
}
