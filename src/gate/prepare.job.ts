import { lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import type { Machine } from '../loader/machine.ts';
import { openView, type ImageView } from '../store/view.ts';
import { canonicalPath } from '../system/canonical-path.ts';
import type { JobContext } from '../system/isolate.ts';
import { openTopLayer } from '../top-layer/open.ts';
import type { TopLayerPlace } from '../top-layer/place.ts';
import { parseCrypttab } from './crypttab.ts';
import { parseDeviceSpec } from './device-spec.ts';
import { parseFstab } from './fstab.ts';
import { listHostDevices } from './host-devices.ts';
import { openNewRoot } from './new-root.ts';
import type { DiskPlan, Part } from './part.ts';
import { PartMaker, type SetupFile } from './part-maker.ts';
import { planDisks } from './plan-disks.ts';
import type { StoreContent } from './store-content.ts';

/** Plain data. */
export interface PrepareJob {
  machine: Machine;
  view: ImageView;
  store: Omit<StoreContent, 'persist'>;
  /** Persistent directories, and where they lie; what the image has at the same path where that is undefined. */
  persist: { path: string; source: string | undefined }[];
  topLayer: TopLayerPlace | undefined;
  /** An empty directory in the store. */
  scratch: string;
}

export interface Prepared extends Omit<DiskPlan, 'parts'> {
  /** Raw disks, in their order. */
  drives: string[];
  setup: SetupFile[];
}

/** Makes the disks that a boot of this machine finds. */
export async function runJob(job: PrepareJob, { progress }: JobContext): Promise<Prepared> {
  process.umask(0o022);
  const { scratch, machine, store } = job;
  const topLayer = await openTop(job);
  const persist = persistSources(job);
  const within = join(scratch, 'new-root');
  mkdirSync(within);
  const { layers, chain } = store;
  using root = await openNewRoot({ layers, chain, topLayer: topLayer?.directory, persist, scratch: within });
  const read = (path: string): string => root.readFile(path)?.toString() ?? '';
  const plan = planDisks({
    machine,
    fstab: parseFstab(read('/etc/fstab')),
    crypttab: parseCrypttab(read('/etc/crypttab')),
    topLayer,
    devices: await listHostDevices(),
  });
  const maker = new PartMaker({ store: { ...store, persist }, root, scratch, progress });
  const drives: string[] = [];
  for (const part of plan.parts) drives.push(await maker.make(part));
  const { parts, ...rest } = plan;
  return { ...rest, drives, setup: [...linkRules(parts), ...maker.keys] };
}

/** The top layer's device and place there, and its directory as this machine has it. */
async function openTop({
  topLayer,
  scratch,
}: PrepareJob): Promise<
  { device: ReturnType<typeof parseDeviceSpec> & {}; path: string; directory: string } | undefined
> {
  if (topLayer === undefined || topLayer.kind === 'directory') return undefined;
  const device = parseDeviceSpec(topLayer.device);
  if (device === undefined || 'path' in device)
    throw new ImgbootError(
      'IMGBOOT_GATE_CANNOT_IMITATE',
      `the gate has no disk for the top layer on ${topLayer.device}: it is named by its path`,
      { hint: 'name it by UUID=' },
    );
  const mountPoint = join(scratch, 'top');
  mkdirSync(mountPoint);
  const directory = await openTopLayer(topLayer, { mountPoint, writable: false });
  return { device, path: pathFromTop(topLayer), directory };
}

/** Where a path is below the top of its file system, subvolumes included. */
function pathFromTop({ path, flags }: TopLayerPlace & { kind: 'device' }): string {
  const subvolume = flags?.split(',').findLast((one) => one.startsWith('subvol='));
  return join('/', subvolume?.slice('subvol='.length) ?? '', path ?? '');
}

/** What has not been seeded yet is what the image has. */
function persistSources({ persist, view, scratch }: PrepareJob): { path: string; source: string }[] {
  if (persist.length === 0) return [];
  const image = openView(view);
  const empty = join(scratch, 'empty');
  mkdirSync(empty);
  return persist.map(({ path, source }) => {
    if (source !== undefined) return { path, source };
    const place = `${image}${canonicalPath(image, path)}`;
    const isThere = lstatSync(place, { throwIfNoEntry: false })?.isDirectory() === true;
    return { path, source: isThere ? place : empty };
  });
}

/** udev's own rules make the other links; these come after them. */
function linkRules(parts: readonly Part[]): SetupFile[] {
  const rules = parts.flatMap(({ links, luks, content }) => {
    const uuid = luks?.uuid ?? content.uuid;
    if (uuid === undefined) return [];
    return links.map(
      (path) =>
        `SUBSYSTEM=="block", ENV{ID_FS_UUID}=="${uuid}", SYMLINK+="${path.replace(/^\/dev\//, '')}"\n`,
    );
  });
  if (rules.length === 0) return [];
  return [{ path: '/run/udev/rules.d/99-imgboot-gate.rules', content: rules.join('') }];
}
