import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CommandFailed, ImgbootError } from '../errors.ts';
import { commandFailure, runCommand } from '../system/exec.ts';
import { PrivateSpace } from '../system/private-space.ts';
import { startProcess } from '../system/process.ts';
import { TarDigests, type TarStyle } from './tar-digests.ts';

/**
 * The boot's own code (hooks/lib/toplayer.sh) for a top layer, outside a boot.
 * $1: hooks/lib  $2: a directory for its work  $3: the top layer
 */
const library = `set -u
export LC_ALL=C
imgboot_lib=$1 imgboot_run=$2/run imgboot_work=$2/work
mkdir -p "$imgboot_run" "$imgboot_work"
host_info() { :; }
host_warn() { printf '%s\\n' "$1" >&2; }
host_die() { printf '%s\\n' "$1" >&2; exit 1; }
. "$imgboot_lib/imgboot.sh"
imgboot_top_dir=$3 imgboot_writable_got=persistent imgboot_topdigest=
`;

/** $4: the root */
const applying = `imgboot_measure_toplayer
imgboot_apply_toplayer "$4"
printf '%s\\n' "$imgboot_top_digest"`;

const streaming = `imgboot_list_toplayer
printf '%s\\n' "$imgboot_top_files" > "$2/files"
imgboot_stream_toplayer
[ ! -s "$imgboot_run/toperror" ] || imgboot_fail_reading_toplayer`;

/** What a boot report says of a top layer. */
export interface Measure {
  digest: string;
  /** What is no directory. */
  files: number;
}

/**
 * Measures a top layer, as each boot does. Runs only in a mount namespace of its own. Needs root.
 * @param work a directory for its work; made if it is missing
 * @param style what the initramfs has
 * @throws IMGBOOT_TOP_LAYER
 */
export async function measureTopLayer(
  topLayer: string,
  { work, style }: { work: string; style: TarStyle },
): Promise<Measure> {
  // The tools that work where nothing else is are copied there.
  using space = new PrivateSpace(work);
  const args = ['-c', library + streaming, 'sh', hooks(), space.path, topLayer];
  const stream = await startProcess('/bin/sh', args, { stdin: 'ignore', stdout: 'pipe' });
  const digests = new TarDigests();
  stream.stdout!.on('data', (chunk: Buffer) => digests.write(chunk));
  await once(stream.stdout!, 'end');
  const { exitCode, signal, stderr } = await stream.exited;
  if (exitCode !== 0) throw failure(topLayer, 'read', commandFailure(['sh'], { exitCode, signal, stderr }));
  return { digest: digests.digests()[style], files: Number(readFileSync(join(space.path, 'files'), 'utf8')) };
}

/**
 * Applies a top layer to a root that nobody uses yet, as a boot does. Runs only in a mount namespace of its own. Needs root.
 * @param work a directory for its work; made if it is missing
 * @returns the digest
 * @throws IMGBOOT_TOP_LAYER
 */
export async function applyTopLayer(
  topLayer: string,
  { work, root }: { work: string; root: string },
): Promise<string> {
  using space = new PrivateSpace(work);
  const args = ['-c', library + applying, 'sh', hooks(), space.path, topLayer, root];
  try {
    return (await runCommand('/bin/sh', args)).stdout.trim();
  } catch (cause) {
    if (!(cause instanceof CommandFailed)) throw cause;
    throw failure(topLayer, 'applied', cause);
  }
}

function hooks(): string {
  return fileURLToPath(new URL('../../hooks/lib', import.meta.url));
}

function failure(topLayer: string, what: 'read' | 'applied', cause: CommandFailed): ImgbootError {
  const why = cause.stderr.trim();
  return new ImgbootError('IMGBOOT_TOP_LAYER', `the top layer ${topLayer} cannot be ${what}: ${why}`, {
    cause,
  });
}
