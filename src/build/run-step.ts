import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isatty } from 'node:tty';
import { requireKernelPlaces } from '../container/kernel-places.ts';
import { runContainer, type Runtime } from '../container/runtime.ts';
import { defaultSeccompFilter } from '../container/seccomp.ts';
import { defaultCapabilities, kernelMounts, runtimeSpec, type SpecMount } from '../container/spec.ts';
import { resolveUser } from '../container/user.ts';
import { errnoOf } from '../errors.ts';
import { canonicalPath } from '../system/canonical-path.ts';
import { RootedTree } from '../system/rooted.ts';
import type { MergedView, MountPoint } from './merged-view.ts';

export interface RunRequest {
  args: string[];
  /** `NAME=value`; HOME gets a default when it is not there. */
  env: string[];
  workingDir: string;
  /** `USER[:GROUP]`; empty for root. */
  user: string;
  network: 'host' | 'none';
  /** Beside the kernel's and resolv.conf. */
  mounts: RunMount[];
  runtime: Runtime;
  /** Unique on the host. */
  id: string;
  scratch: string;
  /** Our own terminal, where there is one, is the command's when undefined. */
  onOutput: ((bytes: Buffer) => void) | undefined;
}

/** Something of the host that a RUN sees and that is no part of its layer. */
export interface RunMount {
  /** In the image. */
  target: string;
  kind: MountPoint['kind'];
  mount: Omit<SpecMount, 'destination'>;
}

/** What docker gives an image that has none. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The host's name in the files that a RUN sees. */
const BUILD_HOST = 'buildkitsandbox';

const PRIVATE_FILES = ['/etc/resolv.conf', '/etc/hosts'] as const;

/** What every RUN has mounted over its root; made in `space`. */
export function privateFiles(space: string): RunMount[] {
  const contents = {
    '/etc/resolv.conf': hostResolvConf(),
    '/etc/hosts': `127.0.0.1\tlocalhost ${BUILD_HOST}\n::1\tlocalhost ip6-localhost ip6-loopback\n`,
  };
  return PRIVATE_FILES.map((target) => {
    const source = join(space, target.slice('/etc/'.length));
    writeFileSync(source, contents[target], { mode: 0o644 });
    return { target, kind: 'file', mount: { type: 'bind', source, options: ['rbind', 'rw'] } };
  });
}

/** The places that must exist for what every RUN has mounted, symlinks resolved in `root`. */
export function mountPoints(root: string): MountPoint[] {
  const kernel = kernelMounts
    .filter(({ destination }) => destination.lastIndexOf('/') === 0)
    .map(({ destination }): MountPoint => ({ path: destination, kind: 'directory' }));
  const files = PRIVATE_FILES.map((path): MountPoint => ({ path, kind: 'file' }));
  return [...kernel, ...files].map(({ path, kind }) => ({ path: canonicalPath(root, path), kind }));
}

/** Runs a command over a merged view. @returns its exit status. @throws IMGBOOT_NO_SUCH_USER, IMGBOOT_RUNTIME_FAILED */
export async function runStep(view: MergedView, request: RunRequest): Promise<number> {
  requireKernelPlaces(view.root);
  const user = resolveUser(new RootedTree(view.root), request.user);
  const env = [...request.env];
  if (!env.some((pair) => pair.startsWith('HOME='))) env.push(`HOME=${user.home}`);
  const spec = runtimeSpec({
    rootfs: view.root,
    args: request.args,
    env,
    cwd: request.workingDir,
    user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
    hostname: BUILD_HOST,
    network: request.network,
    mounts: request.mounts.map(({ target, mount }) => ({
      destination: canonicalPath(view.root, target),
      ...mount,
    })),
    cgroup: `/${request.id}`,
    terminal: request.onOutput === undefined && isatty(0),
    seccomp: defaultSeccompFilter(defaultCapabilities),
  });
  return runContainer({
    runtime: request.runtime,
    spec,
    id: request.id,
    scratch: request.scratch,
    onOutput: request.onOutput,
  });
}

function hostResolvConf(): string {
  try {
    return readFileSync('/etc/resolv.conf', 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  }
}
