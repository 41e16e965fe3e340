import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CommandFailed, ImgbootError } from '../errors.ts';
import { runCommand } from '../system/exec.ts';

/**
 * The boot's own code (hooks/lib/toplayer.sh) for a top layer, outside a boot.
 * $1: hooks/lib  $2: a directory for its work  $3: the top layer  $4: the root to apply it to, if any
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
[ -z "$4" ] || imgboot_apply_toplayer "$4"
printf '%s %s\\n' "$imgboot_top_digest" "$imgboot_top_files"`;

/** As the boot report has them. */
export interface Measure {
  digest: string;
  /** What is no directory. */
  files: number;
}

/**
 * Measures a top layer, as each boot does. @param work a directory for its work, made if it is missing
 * @throws IMGBOOT_TOP_LAYER
 */
export async function measureTopLayer(
  topLayer: string,
  options: { work: string; signal?: AbortSignal | undefined },
): Promise<Measure> {
  return await runHook(topLayer, { ...options, root: '' });
}

/**
 * Applies a top layer to a root that nobody uses yet, as a boot does. Runs only in a mount namespace of its own. Needs root.
 * @param work a directory for its work that programs can be run from, made if it is missing
 * @throws IMGBOOT_TOP_LAYER
 */
export async function applyTopLayer(
  topLayer: string,
  options: { work: string; root: string },
): Promise<Measure> {
  return await runHook(topLayer, options);
}

async function runHook(
  topLayer: string,
  { work, root, signal }: { work: string; root: string; signal?: AbortSignal | undefined },
): Promise<Measure> {
  mkdirSync(work, { recursive: true });
  const library = fileURLToPath(new URL('../../hooks/lib', import.meta.url));
  try {
    const args = ['-c', script, 'sh', library, work, topLayer, root];
    const { stdout } = await runCommand('/bin/sh', args, { env: { LC_ALL: 'C' }, signal });
    const [digest, files] = stdout.trim().split(' ');
    return { digest: digest!, files: Number(files) };
  } catch (cause) {
    if (!(cause instanceof CommandFailed)) throw cause;
    const what = root === '' ? 'read' : 'applied';
    throw new ImgbootError(
      'IMGBOOT_TOP_LAYER',
      `the top layer ${topLayer} cannot be ${what}: ${cause.stderr.trim()}`,
      { cause },
    );
  }
}
