import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeBaseTar } from './build-fixtures.ts';
import { repository } from './paths.ts';
import type { CliResult, RunCliOptions } from './run-cli.ts';
import { storeFilesystem, type DriverCase, type StoreFilesystem, type TestStore } from './test-store.ts';

/** The image of busybox that the tests run. */
export const BASE = 'base:1';

/** A store with {@link BASE} on a file system of its own, and what its containers leave on this machine. Dispose it. */
export class ContainerHost implements AsyncDisposable {
  readonly filesystem: StoreFilesystem;
  readonly store: TestStore;

  private constructor(filesystem: StoreFilesystem) {
    this.filesystem = filesystem;
    this.store = filesystem.store();
  }

  static async create(driver: DriverCase): Promise<ContainerHost> {
    const host = new ContainerHost(await storeFilesystem(driver));
    const tar = await makeBaseTar(host.filesystem.directory('base'));
    await host.store.cliOk('import', [tar, BASE]);
    return host;
  }

  /** `imgboot run --rm --network none`, which most tests need no more than. */
  async run(args: readonly string[], options: RunCliOptions = {}): Promise<CliResult> {
    return this.store.cli('run', ['--rm', '--network', 'none', ...args], options);
  }

  /** The same, where anything but success is a failure of the test. @returns what it printed, without the last line's end */
  async runOk(args: readonly string[], options: RunCliOptions = {}): Promise<string> {
    const out = await this.store.cliOk('run', ['--rm', '--network', 'none', ...args], options);
    return out.replace(/\n$/, '');
  }

  /** A command that goes on beside the test. */
  start(verb: string, args: readonly string[]): RunningCommand {
    const process = spawn(path.join(repository, 'bin/imgboot'), [verb, '--store', this.store.path, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let stdout = '';
    process.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    const ended = new Promise<{ exitCode: number | null; stdout: string }>((resolve) => {
      process.once('close', (exitCode) => resolve({ exitCode, stdout }));
    });
    return { ended, stdout: () => stdout, kill: (signal) => void process.kill(signal) };
  }

  /** `imgboot inspect`. */
  async inspect(container: string): Promise<Inspected> {
    return JSON.parse(await this.store.cliOk('inspect', ['--type', 'container', container])) as Inspected;
  }

  /** The directories of its containers, and whatever else lies there. */
  containers(): string[] {
    const directory = path.join(this.store.path, 'containers');
    return existsSync(directory) ? readdirSync(directory) : [];
  }

  /**
   * What containers of this store have on this machine, a line each: directories, processes, mounts, and cgroups of
   * containers that are gone. What is about to end is waited for.
   */
  async leftovers(): Promise<string[]> {
    let found: string[] = [];
    for (let tries = 0; tries < 100; tries += 1) {
      found = [...this.containers(), ...processesOf(this.store.path), ...mountsOf(this.store.path)];
      if (found.length === 0) break;
      await sleep(50);
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.cli('rm', ['--all', '--force', '--volumes']);
    await this.filesystem[Symbol.asyncDispose]();
  }
}

/** A command of ours that a test has started. */
export interface RunningCommand {
  /** Never rejects. */
  readonly ended: Promise<{ exitCode: number | null; stdout: string }>;
  /** What it has printed so far. */
  stdout(): string;
  kill(signal: NodeJS.Signals): void;
}

export interface Inspected {
  Id: string;
  Name: string;
  State: {
    Status: string;
    Running: boolean;
    OOMKilled: boolean;
    ExitCode: number;
    Pid: number;
    ConmonPid: number;
  };
}

/** The cgroups of containers, of every hierarchy; empty when there are none, whatever other tests run. */
export function containerCgroups(ids: readonly string[]): string[] {
  const roots = ['/sys/fs/cgroup', ...readdirSync('/sys/fs/cgroup').map((name) => `/sys/fs/cgroup/${name}`)];
  return roots.flatMap((root) =>
    ids.map((id) => `${root}/imgboot/${id}`).filter((directory) => existsSync(directory)),
  );
}

/** Processes that work for containers of a store: they have its path among their arguments. Zombies have none. */
function processesOf(store: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      const words = readIfThere(`/proc/${pid}/cmdline`).split('\0');
      const isOurs = words.some((word) => word.startsWith(`${store}/containers/`));
      return isOurs ? [`process ${pid}: ${words.join(' ')}`] : [];
    });
}

function mountsOf(store: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(`${store}/`));
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Waits until something is so. */
export async function until(what: () => Promise<boolean> | boolean, patienceMs = 30_000): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!(await what())) {
    if (performance.now() > end) throw new Error(`waited ${patienceMs} ms in vain: ${what.toString()}`);
    await sleep(20);
  }
}
