import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { expect } from 'vitest';
import type { TreeDifference } from '../../src/layer/compare-trees.ts';
import type { Image } from '../../src/store/image.ts';
import { Store } from '../../src/store/store.ts';
import { loadArchive } from '../../src/store/load.ts';
import { fsck } from '../../src/store/fsck.ts';
import { runIsolated } from '../../src/system/isolate.ts';
import type { LookJob, LookResult } from './look.job.ts';
import { listing } from './listing.ts';
import { loopFilesystem, type LoopFilesystem } from './loop-filesystem.ts';
import { writeLayout, type ImageSpec } from './handmade-image.ts';
import { runCli, runCliOk, type CliResult, type RunCliOptions } from './run-cli.ts';

/** The two drivers, each on the file system that it is made for. */
export const drivers = [
  { driver: 'btrfs', filesystem: 'btrfs' },
  { driver: 'overlay', filesystem: 'ext4' },
] as const;

export type DriverCase = (typeof drivers)[number];

/** A file system in a file with room for many stores. Dispose it. */
export async function storeFilesystem(
  { filesystem }: DriverCase,
  sizeBytes = 2 ** 31,
): Promise<StoreFilesystem> {
  return new StoreFilesystem(await loopFilesystem({ type: filesystem, sizeBytes }));
}

export class StoreFilesystem implements AsyncDisposable {
  readonly mountPoint: string;
  readonly #loop: LoopFilesystem;
  #count = 0;

  constructor(loop: LoopFilesystem) {
    this.#loop = loop;
    this.mountPoint = loop.mountPoint;
  }

  /** A path that nothing has yet. */
  fresh(name: string): string {
    this.#count += 1;
    return path.join(this.mountPoint, `${name}-${this.#count}`);
  }

  /** A store that does not exist until something is put into it. */
  store(name = 'store'): TestStore {
    return new TestStore(this.fresh(name));
  }

  /** A handmade image layout. */
  layout(...images: ImageSpec[]): string {
    return writeLayout(this.fresh('layout'), ...images);
  }

  /** A directory that exists. */
  directory(name = 'dir'): string {
    const made = this.fresh(name);
    mkdirSync(made);
    return made;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#loop[Symbol.asyncDispose]();
  }
}

/** A store under test, through the command line or from within. */
export class TestStore {
  readonly path: string;

  constructor(storePath: string) {
    this.path = storePath;
  }

  get store(): Store {
    return Store.openOrCreate(this.path, undefined);
  }

  /** Without the command line around it, which costs less. */
  async load(layout: string): Promise<Image[]> {
    return loadArchive(this.store, { source: { kind: 'path', path: layout } });
  }

  /** What fsck finds, a line each. */
  async fsck(): Promise<string[]> {
    const problems = await fsck(Store.open(this.path), { repair: false });
    return problems.map(({ kind, subject, message }) => `${kind} ${subject}: ${message}`);
  }

  async cli(verb: string, args: readonly string[] = [], options: RunCliOptions = {}): Promise<CliResult> {
    return runCli([verb, '--store', this.path, ...args], options);
  }

  async cliOk(verb: string, args: readonly string[] = [], options: RunCliOptions = {}): Promise<string> {
    return runCliOk([verb, '--store', this.path, ...args], options);
  }

  async images(): Promise<Record<string, unknown>[]> {
    return JSON.parse(await this.cliOk('images', ['--json'])) as Record<string, unknown>[];
  }

  /** The names of directories in `layers/`. */
  layers(): string[] {
    return readdirSync(path.join(this.path, 'layers')).filter((name) => !name.endsWith('.json'));
  }

  blobs(): string[] {
    return readdirSync(path.join(this.path, 'oci/blobs/sha256'));
  }

  /** Where the image's root file system differs from a directory. */
  async compare(reference: string, other: string): Promise<TreeDifference[]> {
    const { differences } = await this.#look(reference, { compareWith: other });
    return differences;
  }

  /** What lies at these paths of the image: a file's content, `-> TARGET` for a symlink, undefined for nothing. */
  async read(reference: string, paths: readonly string[]): Promise<(string | undefined)[]> {
    const { contents } = await this.#look(reference, { read: paths });
    return contents;
  }

  /** The size of a file and how much of it is on the disk, both in bytes. */
  async usage(reference: string, file: string): Promise<{ size: number; blocks: number }> {
    const { usage } = await this.#look(reference, { usageOf: file });
    return usage!;
  }

  async #look(reference: string, wanted: Omit<LookJob, 'view'>): Promise<LookResult> {
    const { driver, paths } = this.store;
    const chain = this.store
      .image(reference)
      .layers.map((layer) => layer.name)
      .toReversed();
    const mountPoint = mkdtempSync(`${this.path}.view-`);
    const view = { driver: driver.name, layers: paths.layers, chain, mountPoint };
    try {
      return await runIsolated<LookJob, LookResult>(new URL('./look.job.ts', import.meta.url), {
        view,
        ...wanted,
      });
    } finally {
      rmdirSync(mountPoint);
    }
  }

  /** Everything that a failed command must leave as it was. */
  async state(): Promise<string[]> {
    if (!existsSync(this.path)) return [];
    const index = JSON.parse(readFileSync(path.join(this.path, 'oci/index.json'), 'utf8')) as unknown;
    const lines = await Promise.all(
      ['oci/blobs', 'boot', 'tmp', 'deployments'].map((name) => listing(path.join(this.path, name))),
    );
    return [
      JSON.stringify(index),
      ...readdirSync(path.join(this.path, 'layers')).sort(),
      ...lines.flat().filter((line) => !line.startsWith('d ')),
    ];
  }
}

/** What the whole machine has of ours: mounts below `directory`, loop devices, and processes that name it. */
export async function leftovers(directory: string): Promise<string[]> {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((mountPoint) => mountPoint.startsWith(`${directory}/`));
  const { stdout } = await execa('losetup', ['--list', '--noheadings', '--raw', '--output', 'BACK-FILE']);
  const loops = stdout.split('\n').filter((file) => file.startsWith(`${directory}/`));
  return [
    ...mounts.map((line) => `mount ${line}`),
    ...loops.map((line) => `loop ${line}`),
    ...processesOf(directory),
  ];
}

function processesOf(directory: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
        const mounts = readFileSync(`/proc/${pid}/mounts`, 'latin1');
        const inside = command.includes(directory) || mounts.includes(`overlay ${directory}/`);
        return inside ? [`process ${pid} ${command}`] : [];
      } catch {
        // It ended meanwhile.
        return [];
      }
    });
}

/** Runs what must fail and change nothing, and gives its result. */
export async function expectUntouched<Result>(
  store: TestStore,
  action: () => Promise<Result>,
): Promise<Result> {
  const before = await store.state();
  const result = await action();
  expect(await store.state()).toEqual(before);
  expect(await leftovers(store.path)).toEqual([]);
  return result;
}

/** The code of the error that something fails with. */
export async function codeOf(action: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await action();
    return undefined;
  } catch (error) {
    return String((error as { code?: unknown }).code ?? error);
  }
}
