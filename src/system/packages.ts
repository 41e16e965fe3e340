import { readFile, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { ImgbootError } from '../errors.ts';
import { commandFailure } from './exec.ts';
import { startProcess } from './process.ts';
import type { OperationOptions } from './progress.ts';
import type { PackageNames } from './requirements.ts';

export type PackageManager = keyof PackageNames;

/** The distributions whose package manager we know, by ID or ID_LIKE in os-release(5). */
const managers: Record<string, PackageManager> = {
  debian: 'apt',
  ubuntu: 'apt',
  arch: 'pacman',
  fedora: 'dnf',
  rhel: 'dnf',
  centos: 'dnf',
};

const APT_LISTS = '/var/lib/apt/lists';
/** apt's package lists older than this may name packages that the archive no longer has. */
const LIST_AGE_LIMIT_MS = 24 * 3600 * 1000;

/** The package manager of this host; undefined for a distribution that we do not know. */
export async function hostPackageManager(): Promise<PackageManager | undefined> {
  for (const file of ['/etc/os-release', '/usr/lib/os-release']) {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text !== undefined) return packageManagerOf(text);
  }
  return undefined;
}

/** The package manager for the text of an os-release file. */
export function packageManagerOf(osRelease: string): PackageManager | undefined {
  const value = (key: string): string =>
    new RegExp(`^${key}=["']?([^"'\n]*)["']?$`, 'm').exec(osRelease)?.[1] ?? '';
  for (const name of [value('ID'), ...value('ID_LIKE').split(' ')]) {
    const manager = managers[name];
    if (manager !== undefined) return manager;
  }
  return undefined;
}

/** The one command that installs packages, without questions, as its arguments. */
export function installCommand(manager: PackageManager, packages: readonly string[]): string[] {
  switch (manager) {
    case 'apt':
      return ['apt-get', 'install', '--yes', '--no-install-recommends', ...packages];
    case 'pacman':
      return ['pacman', '--sync', '--needed', '--noconfirm', ...packages];
    case 'dnf':
      return ['dnf', 'install', '--assumeyes', '--setopt=install_weak_deps=False', ...packages];
    default:
      return manager satisfies never;
  }
}

/**
 * Installs packages with the host's package manager, and first fetches its lists where they are missing or old.
 * Needs root and the network. Idempotent. @throws CommandFailed, IMGBOOT_NEEDS_ROOT
 */
export async function installPackages(
  manager: PackageManager,
  packages: readonly string[],
  options: OperationOptions = {},
): Promise<void> {
  if (packages.length === 0) return;
  const command = installCommand(manager, packages);
  if (process.getuid?.() !== 0) {
    throw new ImgbootError('IMGBOOT_NEEDS_ROOT', 'installing packages needs root', {
      hint: `sudo ${command.join(' ')}`,
    });
  }
  if (manager === 'apt') await installWithApt(command, options);
  else if (manager === 'pacman')
    await follow(['pacman', '--sync', '--refresh', ...command.slice(2)], options);
  else await follow(command, options);
}

async function installWithApt(command: readonly string[], options: OperationOptions): Promise<void> {
  const stale = await aptListsAreStale();
  if (stale) await follow(['apt-get', 'update'], options);
  try {
    await follow(command, options);
  } catch (error) {
    // A package that the archive has replaced since: the lists tell the new one.
    if (stale || options.signal?.aborted) throw error;
    await follow(['apt-get', 'update'], options);
    await follow(command, options);
  }
}

async function aptListsAreStale(): Promise<boolean> {
  const names = await readdir(APT_LISTS).catch(() => []);
  const lists = names.filter((name) => /_Packages(\.\w+)?$/.test(name));
  if (lists.length === 0) return true;
  // The directory changes at each update; a list keeps the archive's own time.
  const updated = await stat(path.join(APT_LISTS, 'partial')).catch(() => stat(APT_LISTS));
  return Date.now() - updated.mtimeMs > LIST_AGE_LIMIT_MS;
}

/** Runs a package manager and shows each of its lines that tells progress. */
async function follow(command: readonly string[], { progress, signal }: OperationOptions): Promise<void> {
  const [program, ...args] = command;
  progress?.({ step: command.join(' ') });
  signal?.throwIfAborted();
  const running = await startProcess('env', [...quietly, program!, ...args], {
    stdin: 'ignore',
    stdout: 'pipe',
    deathSignal: 'TERM',
  });
  const stop = (): void => running.kill('SIGTERM');
  signal?.addEventListener('abort', stop, { once: true });
  let line = '';
  let output = '';
  running.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-4096);
    const lines = (line + text).split('\n');
    line = lines.pop() ?? '';
    for (const whole of lines) if (telling.test(whole)) progress?.({ step: whole.trim() });
  });
  const result = await running.exited;
  signal?.removeEventListener('abort', stop);
  signal?.throwIfAborted();
  if (result.exitCode === 0) return;
  // apt-get and dnf put their reasons on either stream.
  throw commandFailure(command, { ...result, stderr: result.stderr.trim() === '' ? output : result.stderr });
}

/** Package scripts ask nothing, wait for another apt-get, and talk English (the lines below are read). */
const quietly = ['DEBIAN_FRONTEND=noninteractive', 'LC_ALL=C.UTF-8'];
const telling = /^(Setting up|Fetched|Need to get|Installing|installing|upgrading|Downloading)\b/;
