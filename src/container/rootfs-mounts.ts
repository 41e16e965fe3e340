import { statSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalPath } from '../system/canonical-path.ts';
import { INIT_TARGET } from './container-spec.ts';
import type { Container } from './record.ts';
import { kernelMounts, type SpecMount } from './spec.ts';
import type { MountPlace } from './writable-layer.ts';

/** The container's own version of the files that say who and where it is. */
export const privateFiles = ['/etc/hosts', '/etc/resolv.conf', '/etc/hostname'] as const;

/** Something of the host that a container sees: what is mounted, and what kind of place that needs. */
interface Wanted {
  target: string;
  kind: MountPlace['kind'];
  mount: Omit<SpecMount, 'destination'>;
}

/** What a start has beside the container's record. */
export interface MountSources {
  /** Directories of the volumes, by name. */
  volumes: Readonly<Record<string, string>>;
  /** The small init's program on the host. */
  init: string | undefined;
}

/** The mounts of a container beside the kernel's, their destinations resolved inside `root`, outer ones first. */
export function containerMounts(container: Container, sources: MountSources, root: string): SpecMount[] {
  return wantedMounts(container, sources)
    .map(({ target, mount }) => ({ destination: canonicalPath(root, target), ...mount }))
    .sort((a, b) => depth(a.destination) - depth(b.destination));
}

/** The places that there must be for a container's mounts; those inside another mount are not in the root. */
export function containerPlaces(container: Container, sources: MountSources, root: string): MountPlace[] {
  const kernel = kernelMounts
    .filter(({ destination }) => depth(destination) === 1)
    .map(({ destination }): MountPlace => ({ path: destination, kind: 'directory' }));
  const own = wantedMounts(container, sources).map(({ target, kind }): MountPlace => ({
    path: canonicalPath(root, target),
    kind,
  }));
  const all = [...kernel, ...own];
  return all.filter(({ path }) => !all.some((outer) => path.startsWith(`${outer.path}/`)));
}

function wantedMounts({ record, paths }: Container, sources: MountSources): Wanted[] {
  const covered = new Set(record.mounts.map(({ target }) => target));
  const files = privateFiles
    // A user who mounts one of these wants that one.
    .filter((target) => !covered.has(target))
    .map((target): Wanted => {
      const source = join(paths.files, target.slice('/etc/'.length));
      return { target, kind: 'file', mount: { type: 'bind', source, options: ['rbind', 'rprivate', 'rw'] } };
    });
  const given = record.mounts.map((mount): Wanted => {
    if (mount.kind === 'tmpfs') {
      const options = ['nosuid', 'nodev', 'noexec', ...mount.options].filter(isLastWord);
      return { target: mount.target, kind: 'directory', mount: { type: 'tmpfs', source: 'tmpfs', options } };
    }
    const source = mount.kind === 'bind' ? mount.source : sources.volumes[mount.name]!;
    const propagation = mount.options.some((word) => /^r?(private|shared|slave)$/.test(word))
      ? []
      : ['rprivate'];
    const recursion = mount.options.includes('bind') ? [] : ['rbind'];
    const options = [...recursion, ...propagation, ...mount.options, mount.readOnly ? 'ro' : 'rw'];
    const kind = statSync(source).isDirectory() ? 'directory' : 'file';
    return { target: mount.target, kind, mount: { type: 'bind', source, options } };
  });
  const boot = record.boot
    ? ['/run', '/run/lock', '/tmp']
        .filter((target) => !covered.has(target))
        .map((target): Wanted => {
          const mode = target === '/tmp' ? '1777' : '755';
          const options = ['nosuid', 'nodev', `mode=${mode}`];
          return { target, kind: 'directory', mount: { type: 'tmpfs', source: 'tmpfs', options } };
        })
    : [];
  const init: Wanted[] =
    sources.init === undefined
      ? []
      : [
          {
            target: INIT_TARGET,
            kind: 'file',
            mount: { type: 'bind', source: sources.init, options: ['rbind', 'rprivate', 'ro'] },
          },
        ];
  return [...boot, ...files, ...given, ...init];
}

/** `noexec` is undone by a later `exec`. */
function isLastWord(word: string, index: number, all: readonly string[]): boolean {
  const opposite = word.startsWith('no') ? word.slice(2) : `no${word}`;
  return !all.slice(index + 1).includes(opposite);
}

function depth(path: string): number {
  return path === '/' ? 0 : path.split('/').length - 1;
}
