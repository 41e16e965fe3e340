import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { JobContext } from '../system/isolate.ts';
import { RootedTree } from '../system/rooted.ts';
import { Store } from '../store/store.ts';
import { startMonitor } from './conmon.ts';
import { enterMonitorCgroup } from './limits/container-cgroup.ts';
import { checkInit } from './check-init.ts';
import { containerSpec } from './container-spec.ts';
import { environment } from './environment.ts';
import { requireKernelPlaces } from './kernel-places.ts';
import { findContainer } from './record.ts';
import { containerMounts, containerPlaces, type MountSources } from './rootfs-mounts.ts';
import type { Runtime } from './runtime.ts';
import { resolveGroup, resolveUser } from './user.ts';
import { MAPPED_ROOTFS, mapRootfs, openRootfs } from './writable-layer.ts';

/** A start, as plain data. */
export interface StartJob {
  store: string;
  id: string;
  runtime: Runtime;
  monitor: string;
  sources: MountSources;
  consoleSize: { width: number; height: number } | undefined;
}

/**
 * Shows the container's root file system in this process's mount namespace, and creates the container there under a
 * monitor that keeps the namespace: nobody else sees these mounts, and they end with the container.
 * @returns the host's PID of its first process, which waits to be started
 */
export async function runJob(job: StartJob, { say }: JobContext): Promise<number> {
  process.umask(0o022);
  const store = Store.open(job.store);
  const container = findContainer(store, job.id);
  const { record, paths } = container;
  openRootfs(container, {
    layers: store.paths.layers,
    places: (root) => containerPlaces(container, job.sources, root),
  });
  requireKernelPlaces(paths.rootfs);
  const tree = new RootedTree(paths.rootfs);
  if (record.boot) checkInit(tree, record.args[0] ?? '');
  const user = resolveUser(tree, record.user);
  const groups = record.groups.map((group) => resolveGroup(tree, group));
  const mounts = containerMounts(container, job.sources, paths.rootfs);
  const isMapped = record.security.userNamespace.kind === 'mapped';
  const volumes = Object.values(job.sources.volumes);
  if (isMapped) await mapRootfs(container, { layers: store.paths.layers, volumes });
  const spec = containerSpec(record, {
    rootfs: isMapped ? MAPPED_ROOTFS : paths.rootfs,
    user: {
      uid: user.uid,
      gid: user.gid,
      additionalGids: [...new Set([...user.additionalGids, ...groups])],
    },
    env: environment(record, user.home),
    mounts,
    consoleSize: job.consoleSize,
  });
  mkdirSync(paths.runtimeState, { recursive: true, mode: 0o700 });
  writeFileSync(paths.spec, JSON.stringify(spec));
  const noPivot = rootIsInitramfs();
  if (noPivot)
    say('pivot_root is impossible on a host that runs from its initramfs: the container is started without');
  enterMonitorCgroup();
  return startMonitor(container, {
    program: job.monitor,
    runtime: job.runtime,
    store: job.store,
    noPivot,
  });
}

/** pivot_root(2) is impossible where the root is the file system that the kernel unpacked its initramfs into. */
function rootIsInitramfs(): boolean {
  const root = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .findLast(([, place]) => place === '/');
  return root?.[2] === 'rootfs' || root?.[2] === 'ramfs';
}
