import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sentPaths, type SentPath } from '../layer/send-stream.ts';
import { comparePackages, type PackageChange } from '../packages/compare-packages.ts';
import { readPackages } from '../packages/read-packages.ts';
import type { DriverName } from '../store/driver.ts';
import { createDriver } from '../store/drivers.ts';
import type { LayerName } from '../store/paths.ts';
import { ImgbootError } from '../errors.ts';
import { runCommand } from '../system/exec.ts';
import type { JobContext } from '../system/isolate.ts';
import type { Progress } from '../system/progress.ts';
import { RootedTree } from '../system/rooted.ts';
import { TreeComparison, type FileChange } from './tree-changes.ts';

/** Two images to compare, as plain data. */
export interface CompareJob {
  driver: DriverName;
  layers: string;
  /** Topmost first. */
  before: LayerName[];
  after: LayerName[];
  packages: boolean;
  files: boolean;
  /** An empty directory. */
  scratch: string;
}

export interface CompareResult {
  packages: PackageChange[];
  /** Paths are byte strings. */
  files: readonly FileChange[];
  /** Why the packages of some package manager could not be read. */
  unread: string[];
}

/** Needs a mount namespace of its own with an overlay of several layers. */
export async function runJob(
  job: CompareJob,
  { progress }: Pick<JobContext, 'progress'>,
): Promise<CompareResult> {
  const files = job.files ? await filesThatDiffer(job, progress) : [];
  if (!job.packages) return { packages: [], files, unread: [] };
  const [before, after] = [
    await readPackages(viewOf(job, 'before')),
    await readPackages(viewOf(job, 'after')),
  ];
  const unread = [...before.unread, ...after.unread].map(({ message }) => message);
  return { packages: comparePackages(before.answer, after.answer), files, unread };
}

function viewOf(job: CompareJob, which: 'before' | 'after'): RootedTree {
  const mountPoint = join(job.scratch, which);
  mkdirSync(mountPoint);
  return new RootedTree(createDriver(job.driver).view(job.layers, job[which], mountPoint));
}

async function filesThatDiffer(job: CompareJob, progress: Progress): Promise<readonly FileChange[]> {
  const levels = (names: readonly LayerName[]): string[] => names.map((name) => join(job.layers, name));
  const tops = [levels(job.before), levels(job.after)] as const;
  if (job.driver === 'overlay') return new TreeComparison(...tops).whole();
  const [before, after] = [tops[0][0]!, tops[1][0]!];
  const isRelated = job.before.at(-1) === job.after.at(-1);
  const quick = isRelated
    ? await filesThatWereTouched(before, after, join(job.scratch, 'stream'))
    : undefined;
  if (quick !== undefined) return quick;
  progress({ step: 'comparing all files of both' });
  return new TreeComparison([before], [after]).whole();
}

/**
 * Of two snapshots of one subvolume: btrfs finds what differs by its trees, at the cost of what differs.
 * @returns undefined where that does not tell all
 */
async function filesThatWereTouched(
  before: string,
  after: string,
  stream: string,
): Promise<readonly FileChange[] | undefined> {
  let sent: SentPath[];
  try {
    await runCommand('btrfs', ['send', '--quiet', '--no-data', '-p', before, '-f', stream, after]);
    sent = sentPaths(readFileSync(stream));
  } catch (error) {
    // Without btrfs-progs, with newer ones, or where the kernel refuses: every file is looked at.
    if (error instanceof ImgbootError) return undefined;
    throw error;
  }
  const paths = new Map<string, boolean>();
  for (const { path, moved } of sent) paths.set(path, moved || paths.get(path) === true);
  const comparison = new TreeComparison([before], [after]);
  let covered: string | undefined;
  for (const path of [...paths.keys()].sort(inTreeOrder)) {
    if (covered !== undefined && path.startsWith(`${covered}/`)) continue;
    if (comparison.at(path, paths.get(path)!)) covered = path;
  }
  return comparison.hasChangedLinks ? undefined : comparison.changes;
}

/** A directory before what is in it, and that before what comes after the directory. */
function inTreeOrder(a: string, b: string): number {
  const [first, second] = [a.replaceAll('/', '\0'), b.replaceAll('/', '\0')];
  return first < second ? -1 : first > second ? 1 : 0;
}
