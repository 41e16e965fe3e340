import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ImgbootError, errnoOf } from '../../errors.ts';

/** The cgroup above those of all containers, from the root of each hierarchy. */
const PARENT = '/imgboot';
/** Where the monitors are: not in the cgroup of who started them, which may end with it. */
const MONITORS = `${PARENT}/conmon`;

/** A container's cgroup, from the root of each hierarchy. */
export function cgroupOf(id: string): string {
  return `${PARENT}/${id}`;
}

interface Hierarchy {
  mountPoint: string;
  version: 1 | 2;
  /** cgroup v1: the controllers that it is for; empty for a named one. */
  controllers: readonly string[];
}

let known: Hierarchy[] | undefined;

/** Every cgroup hierarchy of the host. */
function hierarchies(): readonly Hierarchy[] {
  known ??= readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type === 'cgroup' || type === 'cgroup2')
    .map(([, mountPoint = '', type, options = '']) => ({
      mountPoint,
      version: type === 'cgroup' ? 1 : 2,
      controllers: type === 'cgroup' ? options.split(',') : [],
    }));
  return known;
}

/** The host's cgroup controllers work by v2 alone. */
export function hasUnifiedCgroups(): boolean {
  const all = hierarchies();
  return all.length > 0 && all.every(({ version }) => version === 2);
}

/** Whether there is a cgroup v1 hierarchy of this name, which no controller has. */
export function hasNamedHierarchy(name: string): boolean {
  return hierarchies().some(({ controllers }) => controllers.includes(`name=${name}`));
}

/** Where a controller's files of a cgroup are; undefined where the host lacks the controller. */
export function controllerDirectory(controller: string, cgroup: string): string | undefined {
  const all = hierarchies();
  const own = all.find(({ controllers }) => controllers.includes(controller));
  if (own !== undefined) return join(own.mountPoint, cgroup);
  const unified = all.find(({ version }) => version === 2);
  if (unified === undefined) return undefined;
  const offered = readFileSync(join(unified.mountPoint, 'cgroup.controllers'), 'utf8').trim().split(' ');
  return offered.includes(controller) ? join(unified.mountPoint, cgroup) : undefined;
}

/** One file of a container's cgroup; undefined where it or the controller is not there. */
export function readCgroupFile(id: string, controller: string, name: string): string | undefined {
  const directory = controllerDirectory(controller, cgroupOf(id));
  return directory === undefined ? undefined : readIfThere(join(directory, name));
}

/** Whether a file of a controller is there for containers, made ready where it is not yet. */
export function hasControllerFile(controller: string, name: string): boolean {
  const directory = controllerDirectory(controller, PARENT);
  if (directory === undefined) return false;
  mkdirSync(directory, { recursive: true });
  if (hasUnifiedCgroups()) delegate(controller);
  return existsSync(join(directory, name));
}

/** Lets the cgroups below the root have a controller. @see Documentation/admin-guide/cgroup-v2.rst, "Enabling and Disabling" */
function delegate(controller: string): void {
  const root = hierarchies()[0]!.mountPoint;
  try {
    writeFileSync(join(root, 'cgroup.subtree_control'), `+${controller}`);
  } catch {
    // The caller looks whether the file is there, which says more.
  }
}

/** Moves this process, and so the monitor that it is to start, out of the cgroup of whoever started us. */
export function enterMonitorCgroup(): void {
  for (const { mountPoint, version, controllers } of hierarchies()) {
    // Where controllers hold a cgroup's processes to limits, ours may have some that are meant for the monitor, too.
    if (version === 1 && controllers.every((name) => !name.startsWith('name='))) continue;
    const directory = join(mountPoint, MONITORS);
    try {
      mkdirSync(directory, { recursive: true });
      writeFileSync(join(directory, 'cgroup.procs'), String(process.pid));
    } catch (error) {
      // A host that does not let us (a container with read-only cgroups) does not end processes by cgroup either.
      if (!['EROFS', 'EACCES', 'EPERM', 'EBUSY', 'EOPNOTSUPP', 'ENOENT'].includes(errnoOf(error) ?? ''))
        throw error;
    }
  }
}

/** Whether the container's processes are stopped. */
export function isFrozen(id: string): boolean {
  if (hasUnifiedCgroups()) return /^frozen 1$/m.test(readCgroupFile(id, 'memory', 'cgroup.events') ?? '');
  return readCgroupFile(id, 'freezer', 'freezer.state')?.trim() === 'FROZEN';
}

const FREEZE_MS = 10_000;
const POLL_MS = 10;

/** Stops all processes of a container where they are. @throws IMGBOOT_CANNOT_FREEZE */
export async function freeze(id: string): Promise<void> {
  writeFreezer(id, true);
  for (let waited = 0; waited < FREEZE_MS; waited += POLL_MS) {
    if (isFrozen(id)) return;
    await sleep(POLL_MS);
  }
  writeFreezer(id, false);
  throw new ImgbootError(
    'IMGBOOT_CANNOT_FREEZE',
    `the processes of container ${id.slice(0, 12)} do not stop`,
    {
      hint: 'one of them waits for a device; try again',
    },
  );
}

/** Lets them go on. */
export function thaw(id: string): void {
  writeFreezer(id, false);
}

function writeFreezer(id: string, frozen: boolean): void {
  const [file, value] = hasUnifiedCgroups()
    ? [join(hierarchies()[0]!.mountPoint, cgroupOf(id), 'cgroup.freeze'), frozen ? '1' : '0']
    : [join(freezerDirectory(id), 'freezer.state'), frozen ? 'FROZEN' : 'THAWED'];
  writeFileSync(file, value);
}

function freezerDirectory(id: string): string {
  const directory = controllerDirectory('freezer', cgroupOf(id));
  if (directory !== undefined) return directory;
  throw new ImgbootError('IMGBOOT_CANNOT_FREEZE', 'this host has no freezer cgroup', {
    hint: 'mount the freezer controller, or use a host with cgroup v2',
  });
}

/** The host's PIDs of all processes of a container. */
export function cgroupProcesses(id: string): number[] {
  const pids = new Set<number>();
  for (const { mountPoint } of hierarchies()) {
    for (const directory of subtree(join(mountPoint, cgroupOf(id)))) {
      for (const pid of (readIfThere(join(directory, 'cgroup.procs')) ?? '').split('\n').filter(Boolean))
        pids.add(Number(pid));
    }
    // Every hierarchy has all of them.
    if (pids.size > 0) break;
  }
  return [...pids].sort((a, b) => a - b);
}

const REMOVE_TRIES = 100;

/** Ends what is left in a container's cgroups, and removes them. Nothing is done where they are gone. */
export async function removeCgroups(id: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    // A frozen process does not die.
    if (tries === 1 && isFrozen(id)) thaw(id);
    for (const pid of cgroupProcesses(id)) killIfThere(pid);
    const left = hierarchies()
      .flatMap(({ mountPoint }) => subtree(join(mountPoint, cgroupOf(id))).toReversed())
      .filter((directory) => !removeIfEmpty(directory));
    if (left.length === 0) break;
    if (tries === REMOVE_TRIES)
      throw new ImgbootError('IMGBOOT_CGROUP_BUSY', `the cgroup ${left[0]} cannot be removed: it is in use`, {
        hint: 'cat its cgroup.procs to see by whom',
      });
    await sleep(POLL_MS);
  }
}

/** Removes the cgroups that containers share, where there are no containers. Nobody may be making one meanwhile. */
export function removeSharedCgroups(): void {
  for (const { mountPoint } of hierarchies()) {
    const directories = subtree(join(mountPoint, PARENT));
    const monitors = join(mountPoint, MONITORS);
    if (directories.some((directory) => directory !== monitors && directory !== join(mountPoint, PARENT)))
      continue;
    // The last container's monitor may be waiting for us.
    for (const pid of (readIfThere(join(monitors, 'cgroup.procs')) ?? '').split('\n').filter(Boolean))
      moveToRoot(mountPoint, pid);
    for (const directory of directories.toReversed()) removeIfEmpty(directory);
  }
}

function moveToRoot(mountPoint: string, pid: string): void {
  try {
    writeFileSync(join(mountPoint, 'cgroup.procs'), pid);
  } catch (error) {
    // It has ended, or this host does not let us.
    if (!['ESRCH', 'EACCES', 'EROFS', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
  }
}

/** A directory and all below it, outermost first. */
function subtree(directory: string): string[] {
  let entries;
  try {
    entries = readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
  const below = entries.filter((entry) => entry.isDirectory()).map((entry) => join(directory, entry.name));
  return [directory, ...below.flatMap(subtree)];
}

function removeIfEmpty(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return true;
    if (errnoOf(error) === 'EBUSY' || errnoOf(error) === 'EROFS') return false;
    throw error;
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENODEV') return undefined;
    throw error;
  }
}
