import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stderr } from 'node:process';
import { ImgbootError } from '../errors.ts';
import { findProgram } from '../system/requirements-check.ts';
import { startProcess } from '../system/process.ts';
import type { RuntimeSpec } from './spec.ts';

/** An OCI runtime that works on this host, and why it was chosen. */
export interface Runtime {
  program: string;
  reason: string;
}

/**
 * The runtime for this host: crun, which starts fastest, unless it is missing or the host has both kinds of cgroups
 * (it refuses those); then runc. @throws IMGBOOT_NO_RUNTIME
 */
export async function chooseRuntime(): Promise<Runtime> {
  const hybrid = isHybridCgroup();
  const crun = await findProgram('crun');
  const runc = await findProgram('runc');
  if (crun !== undefined && !hybrid) return { program: crun, reason: 'crun is installed' };
  if (runc !== undefined)
    return {
      program: runc,
      reason: hybrid ? 'crun refuses a host with both kinds of cgroups' : 'crun is not installed',
    };
  throw new ImgbootError(
    'IMGBOOT_NO_RUNTIME',
    `no OCI runtime works here: ${crun === undefined ? 'neither crun nor runc is installed' : 'crun refuses a host with both kinds of cgroups, and runc is not installed'}`,
    {
      hint: 'imgboot doctor run --install',
    },
  );
}

/** cgroup v1 controllers with an empty v2 hierarchy beside them. */
function isHybridCgroup(): boolean {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '));
  const types = new Set(
    mounts
      .filter(([, place = '']) => place === '/sys/fs/cgroup' || place.startsWith('/sys/fs/cgroup/'))
      .map(([, , type]) => type),
  );
  return types.has('cgroup') && types.has('cgroup2');
}

export interface RunContainerRequest {
  runtime: Runtime;
  spec: RuntimeSpec;
  /** Names the container for the runtime; unique on the host. */
  id: string;
  /** An empty directory for the bundle and the runtime's state. */
  scratch: string;
  /** Gets what the process prints, both streams; our own terminal is the process's where undefined. */
  onOutput: ((bytes: Buffer) => void) | undefined;
}

/** Runs a container to its end in the foreground. @returns its exit status, 128 and more for a signal */
export async function runContainer({
  runtime,
  spec,
  id,
  scratch,
  onOutput,
}: RunContainerRequest): Promise<number> {
  const bundle = join(scratch, 'bundle');
  const state = join(scratch, 'state');
  for (const directory of [bundle, state]) mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
  const process = await startProcess(runtime.program, ['--root', state, 'run', '--bundle', bundle, id], {
    stdin: onOutput === undefined ? 'inherit' : 'ignore',
    stdout: onOutput === undefined ? 'inherit' : 'pipe',
  });
  const show = onOutput ?? ((bytes: Buffer): void => void stderr.write(bytes));
  process.stdout?.on('data', show);
  process.stderr.on('data', (text: string) => show(Buffer.from(text)));
  const { exitCode, signal } = await process.exited;
  if (exitCode !== undefined) return exitCode;
  throw new ImgbootError('IMGBOOT_RUNTIME_FAILED', `${runtime.program} was ended by ${signal}`);
}
