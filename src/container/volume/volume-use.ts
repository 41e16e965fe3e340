import { mkdirSync, readdirSync } from 'node:fs';
import { join, posix } from 'node:path';
import type { Config } from '../../image/manifest.ts';
import type { Store } from '../../store/store.ts';
import { jobModule, runIsolated } from '../../system/isolate.ts';
import type { OperationOptions } from '../../system/progress.ts';
import { removeTree } from '../../system/remove-tree.ts';
import type { ContainerMount } from '../mount.ts';
import type { Container } from '../record.ts';
import type { VolumeCopyJob } from './volume-copy.job.ts';
import {
  anonymousVolumeName,
  checkVolumeName,
  lockVolumes,
  makeVolume,
  readVolume,
  volumeData,
  writeVolume,
  type Volume,
} from './volume.ts';

type VolumeMount = ContainerMount & { kind: 'volume' };

/**
 * The mounts of a new container: those that were asked for, volumes without a name named, and a volume for each VOLUME
 * of the image that nothing else is mounted on.
 */
export function withImageVolumes(
  mounts: readonly ContainerMount[],
  config: Pick<NonNullable<Config['config']>, 'Volumes'> | undefined,
): ContainerMount[] {
  const named = mounts.map((mount) =>
    mount.kind === 'volume' && mount.name === '' ? { ...mount, name: anonymousVolumeName() } : mount,
  );
  const covered = new Set(mounts.map(({ target }) => target));
  const own = Object.keys(config?.Volumes ?? {})
    .map((target) => posix.resolve('/', target))
    .filter((target) => target !== '/' && !covered.has(target))
    .map((target): VolumeMount => ({
      kind: 'volume',
      name: anonymousVolumeName(),
      target,
      readOnly: false,
      options: [],
      anonymous: true,
      copy: true,
    }));
  return [...named, ...own];
}

/**
 * Before a container starts: makes the volumes that it names and that are not there, and puts into new ones what the
 * image has at their places. Safe side by side; killed in between, the next start goes on.
 * @returns their directories, by name
 */
export async function prepareVolumes(
  store: Store,
  { record }: Container,
  options: OperationOptions = {},
): Promise<Record<string, string>> {
  const directories: Record<string, string> = {};
  const mounts = record.mounts.filter((mount) => mount.kind === 'volume');
  if (mounts.length === 0) return directories;
  using _lock = await lockVolumes(store.paths, options);
  for (const mount of mounts) {
    const { name, anonymous } = mount;
    const volume =
      readVolume(store.paths, checkVolumeName(name)) ?? makeVolume(store, { name, anonymous, labels: {} });
    const data = volumeData(store.paths, name);
    if (needsContent(volume, mount, data))
      await copyContent(store, { ...options, volume, target: mount.target, layers: record.layers });
    directories[name] = data;
  }
  return directories;
}

function needsContent(volume: Volume, mount: VolumeMount, data: string): boolean {
  if (volume.content === 'being copied') return true;
  return volume.content === 'none yet' && mount.copy && readdirSync(data).length === 0;
}

async function copyContent(
  store: Store,
  {
    volume,
    target,
    layers,
    ...options
  }: OperationOptions & { volume: Volume; target: string; layers: Container['record']['layers'] },
): Promise<void> {
  const data = volumeData(store.paths, volume.name);
  writeVolume(store.paths, { ...volume, content: 'being copied' });
  // Of a copy that was killed.
  for (const name of readdirSync(data, 'buffer')) removeTree(Buffer.concat([Buffer.from(`${data}/`), name]));
  await using workspace = await store.workspace();
  const mountPoint = join(workspace.path, 'view');
  mkdirSync(mountPoint);
  const view = { driver: store.driver.name, layers: store.paths.layers, chain: layers, mountPoint };
  const copied = await runIsolated<VolumeCopyJob, boolean>(
    jobModule(import.meta.url, 'volume-copy.job'),
    { view, target, data },
    options,
  );
  writeVolume(store.paths, { ...volume, content: copied ? 'copied' : 'none yet' });
}
