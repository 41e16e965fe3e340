import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CommandFailed, ImgbootError } from '../errors.ts';
import { runCommand } from '../system/exec.ts';
import { PrivateSpace } from '../system/private-space.ts';
import { ContainerPaths } from './paths.ts';
import { readContainer } from './record.ts';
import { openRootfs } from './writable-layer.ts';

/** A top layer for a container that is being made, as plain data. */
export interface TopLayerJob {
  /** The container's directory. */
  container: string;
  /** The store's `layers` directory. */
  layers: string;
  topLayer: string;
}

/**
 * What a boot does, by the very code that does it there (hooks/lib/toplayer.sh): measures the layer, and applies it
 * inside the root.
 * $1: hooks/lib  $2: a directory for its work  $3: the top layer  $4: the root
 */
const script = `set -u
imgboot_lib=$1 imgboot_run=$2/run imgboot_work=$2/work
mkdir -p "$imgboot_run" "$imgboot_work"
host_info() { :; }
host_warn() { printf '%s\\n' "$1" >&2; }
host_die() { printf '%s\\n' "$1" >&2; exit 1; }
. "$imgboot_lib/imgboot.sh"
imgboot_top_dir=$3 imgboot_writable_got=persistent imgboot_topdigest=
imgboot_measure_toplayer
imgboot_apply_toplayer "$4"
printf '%s\\n' "$imgboot_top_digest"`;

/** @returns the layer's digest. @throws IMGBOOT_TOP_LAYER */
export async function runJob({ container, layers, topLayer }: TopLayerJob): Promise<string> {
  process.umask(0o022);
  const paths = new ContainerPaths(container);
  openRootfs(readContainer(paths)!, { layers, places: () => [] });
  const work = join(container, 'top-layer-work');
  mkdirSync(work);
  // The tools that work inside the root are copied there.
  using space = new PrivateSpace(work);
  const library = fileURLToPath(new URL('../../hooks/lib', import.meta.url));
  try {
    const args = ['-c', script, 'sh', library, space.path, topLayer, paths.rootfs];
    const { stdout } = await runCommand('/bin/sh', args, { env: { LC_ALL: 'C' } });
    return stdout.trim();
  } catch (cause) {
    if (!(cause instanceof CommandFailed)) throw cause;
    throw new ImgbootError(
      'IMGBOOT_TOP_LAYER',
      `the top layer ${topLayer} cannot be applied: ${cause.stderr.trim()}`,
      {
        cause,
      },
    );
  }
}
