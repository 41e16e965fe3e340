import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon, FIRST_PIPE } from '../system/daemon.ts';
import { FilesInRoot } from '../system/files-in-root.ts';
import { identifyProcess } from '../system/process-identity.ts';
import { removeTree } from '../system/remove-tree.ts';
import { Attachment, type AttachStreams, type AttachTarget } from './attach.ts';
import { grantedCapabilities } from './capabilities.ts';
import { findMonitor, monitorOptions, parseReport, runtimeArguments } from './conmon.ts';
import { forwardSignals, requireRunning, type ForegroundResult } from './foreground.ts';
import type { Container } from './record.ts';
import { explainRuntimeFailure } from './runtime-failure.ts';
import { chooseRuntime, type Runtime } from './runtime.ts';
import type { RuntimeSpec } from './spec.ts';
import { readStart } from './state.ts';
import { resolveUser } from './user.ts';

export interface ExecRequest {
  args: string[];
  /** `NAME=value`, over the container's own. */
  env: string[];
  user: string | undefined;
  workingDir: string | undefined;
  terminal: boolean;
  stdin: boolean;
  privileged: boolean;
  /** Undefined to leave it in the background. */
  streams: AttachStreams | undefined;
  consoleSize: { width: number; height: number } | undefined;
  /** Called when the program runs, with the host's number of it: from then on signals are its. */
  onStarted?: ((pid: number) => void) | undefined;
}

/** conmon's pipes, in the order of their descriptors. */
const SYNC = 0;
const START = 1;
const ATTACH = 2;

/**
 * Runs a further program in a running container, shown to its end or left in the background.
 * @returns how it ended; undefined where nobody waits for that
 * @throws IMGBOOT_NOT_RUNNING, IMGBOOT_NO_SUCH_USER, IMGBOOT_COMMAND_NOT_FOUND, IMGBOOT_COMMAND_NOT_EXECUTABLE
 */
export async function execInContainer(
  container: Container,
  request: ExecRequest,
): Promise<ForegroundResult | undefined> {
  requireRunning(container);
  const [runtime, monitor] = await Promise.all([chooseRuntime(), findMonitor()]);
  const id = randomBytes(32).toString('hex');
  const directory = join(container.paths.run, `exec-${id.slice(0, 16)}`);
  mkdirSync(directory, { mode: 0o700 });
  try {
    writeFileSync(join(directory, 'process.json'), JSON.stringify(processOf(container, request)));
    using daemon = new Daemon(monitorCommand(container, { monitor, runtime, id, directory, request }), {
      cwd: directory,
      env: {
        ...process.env,
        _OCI_SYNCPIPE: String(FIRST_PIPE + SYNC),
        _OCI_STARTPIPE: String(FIRST_PIPE + START),
        _OCI_ATTACHPIPE: String(FIRST_PIPE + ATTACH),
      },
      pipes: 3,
    });
    daemon.write(START, '\0');
    if (request.streams === undefined) {
      await started(daemon, request, runtime);
      return undefined;
    }
    return await show(daemon, { container, directory, request, runtime, streams: request.streams });
  } finally {
    // A program in the background keeps its files until the container ends.
    if (request.streams !== undefined) removeTree(directory);
  }
}

async function show(
  daemon: Daemon,
  {
    container,
    directory,
    request,
    runtime,
    streams,
  }: {
    container: Container;
    directory: string;
    request: ExecRequest;
    runtime: Runtime;
    streams: AttachStreams;
  },
): Promise<ForegroundResult> {
  await daemon.line(ATTACH);
  const target: AttachTarget = {
    name: `the program in ${container.record.name}`,
    socket: join(directory, 'attach'),
    control: join(directory, 'ctl'),
    terminal: request.terminal,
    stdin: request.stdin,
  };
  await using attachment = Attachment.open(target, streams);
  daemon.write(START, '\0');
  const pid = await started(daemon, request, runtime);
  request.onStarted?.(pid);
  using _signals = forwardSignals(identifyProcess(pid));
  const end = await attachment.end;
  if (end !== 'ended') return { end };
  return { exitCode: parseReport(await daemon.line(SYNC)).data };
}

async function started(daemon: Daemon, request: ExecRequest, runtime: Runtime): Promise<number> {
  const { data, message } = parseReport(await daemon.line(SYNC));
  if (data > 0) return data;
  throw explainRuntimeFailure(message, { runtime, command: request.args[0] ?? '' });
}

function monitorCommand(
  { record, paths }: Container,
  {
    monitor,
    runtime,
    id,
    directory,
    request,
  }: { monitor: string; runtime: Runtime; id: string; directory: string; request: ExecRequest },
): string[] {
  const values = {
    'api-version': '1',
    cid: record.id,
    cuuid: id,
    runtime: runtime.program,
    bundle: directory,
    'exec-process-spec': join(directory, 'process.json'),
    'container-pidfile': join(directory, 'pid'),
    'log-path': 'none',
    'log-level': 'error',
  };
  return [
    monitor,
    '--exec',
    '--full-attach',
    ...monitorOptions(values),
    ...runtimeArguments(paths).flatMap((word) => ['--runtime-arg', word]),
    ...(request.streams === undefined ? [] : ['--exec-attach']),
    ...(request.terminal ? ['--terminal'] : request.stdin ? ['--stdin'] : []),
  ];
}

/** The container's own process, changed as it is asked for. */
function processOf(container: Container, request: ExecRequest): RuntimeSpec['process'] {
  const spec = JSON.parse(readFileSync(container.paths.spec, 'utf8')) as RuntimeSpec;
  const { process: first } = spec;
  const capabilities = request.privileged
    ? grantedCapabilities({ privileged: true, add: [], drop: [] })
    : first.capabilities.bounding;
  const { user, home } = userOf(container, request, first);
  const own = new Map(first.env.map((pair) => [pair.split('=', 1)[0]!, pair]));
  if (home !== undefined) own.set('HOME', `HOME=${home}`);
  if (request.terminal && !own.has('TERM')) own.set('TERM', 'TERM=xterm');
  for (const pair of request.env) own.set(pair.split('=', 1)[0]!, pair);
  const { consoleSize: _size, ...rest } = first;
  return {
    ...rest,
    terminal: request.terminal,
    args: request.args,
    env: [...own.values()],
    cwd: request.workingDir ?? first.cwd,
    user,
    capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    ...(request.consoleSize === undefined ? {} : { consoleSize: request.consoleSize }),
  };
}

function userOf(
  { paths }: Container,
  { user }: ExecRequest,
  first: RuntimeSpec['process'],
): { user: RuntimeSpec['process']['user']; home: string | undefined } {
  if (user === undefined) return { user: first.user, home: undefined };
  const pid = readStart(paths)!.process.pid;
  // The container runs: what leads where may change under us, and never leads out of its root.
  using files = FilesInRoot.open(`/proc/${pid}/root`);
  const { uid, gid, additionalGids, home } = resolveUser(files, user);
  return { user: { uid, gid, additionalGids }, home };
}
