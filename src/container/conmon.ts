import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ImgbootError, errnoOf } from '../errors.ts';
import { Daemon, FIRST_PIPE } from '../system/daemon.ts';
import { isSameProcess, identifyProcess, type ProcessIdentity } from '../system/process-identity.ts';
import { findProgram } from '../system/requirements-check.ts';
import type { Container } from './record.ts';
import type { ContainerPaths } from './paths.ts';
import { explainRuntimeFailure } from './runtime-failure.ts';
import { MAPPED_ROOTFS } from './writable-layer.ts';
import type { Runtime } from './runtime.ts';

/** The monitor's program. @throws IMGBOOT_NO_MONITOR */
export async function findMonitor(): Promise<string> {
  const program = await findProgram('conmon');
  if (program !== undefined) return program;
  throw new ImgbootError('IMGBOOT_NO_MONITOR', 'conmon, which every container runs under, is not installed', {
    hint: 'imgboot doctor run --install',
  });
}

/** The arguments of a runtime that keeps its state with the container. */
export function runtimeArguments(paths: ContainerPaths): string[] {
  return ['--root', paths.runtimeState];
}

/**
 * What conmon runs when the container has ended: it waits for the command that shows the container, if there is one,
 * which cleans up itself; where that was killed, or there was none, a command of ours does it.
 * $1: the container's directory  $2: node  $3: imgboot  $4: the store  $5: the ID
 */
const exitScript = `flock "$1/attended" true 2> /dev/null
[ -d "$1/run" ] || exit 0
umount -l "$1/rootfs" ${MAPPED_ROOTFS} 2> /dev/null
exec "$2" "$3" container-cleanup --store "$4" "$5"`;

export interface MonitorRequest {
  program: string;
  runtime: Runtime;
  store: string;
  noPivot: boolean;
}

/**
 * Creates a container under a monitor of its own, in this process's mount namespace. It waits to be started.
 * @returns the host's PID of its first process
 * @throws IMGBOOT_RUNTIME_FAILED, IMGBOOT_COMMAND_NOT_FOUND, IMGBOOT_COMMAND_NOT_EXECUTABLE
 */
export async function startMonitor({ record, paths }: Container, request: MonitorRequest): Promise<number> {
  const { id, name } = record;
  const command = [
    '/bin/sh',
    '-c',
    exitScript,
    'sh',
    paths.root,
    process.execPath,
    imgbootScript(),
    request.store,
    id,
  ];
  const [exitCommand = '', ...exitArguments] = command;
  const args = [
    ...monitorOptions({
      'api-version': '1',
      cid: id,
      cuuid: id,
      name,
      runtime: request.runtime.program,
      bundle: paths.run,
      'persist-dir': paths.root,
      'container-pidfile': paths.pidFile,
      'conmon-pidfile': paths.monitorPidFile,
      'log-path': `k8s-file:${paths.log}`,
      'log-level': 'error',
      'exit-command': exitCommand,
    }),
    '--full-attach',
    ...runtimeArguments(paths).flatMap((word) => ['--runtime-arg', word]),
    ...exitArguments.flatMap((word) => ['--exit-command-arg', word]),
    ...(record.terminal ? ['--terminal'] : record.stdin ? ['--stdin'] : []),
    ...(record.stdin && !record.stdinOnce ? ['--leave-stdin-open'] : []),
    // What is thrown away with the container need not reach the disk first.
    ...(record.autoRemove ? ['--no-sync-log'] : []),
    ...(request.noPivot ? ['--no-pivot'] : []),
  ];
  const env = { ...process.env, _OCI_SYNCPIPE: String(FIRST_PIPE) };
  using daemon = new Daemon([request.program, ...args], { cwd: paths.run, env, pipes: 1 });
  const { data, message } = parseReport(await daemon.line(0));
  if (data > 0) return data;
  throw explainRuntimeFailure(message, { runtime: request.runtime, command: record.args[0] ?? '' });
}

/** What conmon says on its pipes: a PID or a status, and where that is negative, why. */
export function parseReport(line: string): { data: number; message: string } {
  const { data, message = '' } = JSON.parse(line) as { data: number; message?: string };
  return { data, message };
}

/** The monitor of a container's last start; undefined where it has ended. */
export function monitorProcess(paths: ContainerPaths): ProcessIdentity | undefined {
  try {
    return identifyProcess(Number(readFileSync(paths.monitorPidFile, 'utf8')));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether a monitor that {@link monitorProcess} found is still there. */
export function isMonitorThere(monitor: ProcessIdentity | undefined): boolean {
  return monitor !== undefined && isSameProcess(monitor);
}

/** Options with a value, as conmon takes them. */
export function monitorOptions(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => [`--${name}`, value]);
}

/** The script that starts imgboot; the same place from the sources and from what is built of them. */
function imgbootScript(): string {
  return join(dirname(fileURLToPath(import.meta.url)), '../../bin/run.js');
}
