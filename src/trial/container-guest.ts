import { Writable } from 'node:stream';
import { createContainer, type CreateRequest } from '../container/create.ts';
import { sweepContainers } from '../container/cleanup.ts';
import { execInContainer } from '../container/exec.ts';
import { DEFAULT_PIDS_LIMIT } from '../container/limits/limits.ts';
import { readLogs } from '../container/logs.ts';
import { listContainers, type Container } from '../container/record.ts';
import { removeContainer } from '../container/remove.ts';
import { startContainer } from '../container/start.ts';
import { ImgbootError } from '../errors.ts';
import type { Store } from '../store/store.ts';
import { identifyProcess, isSameProcess, type ProcessIdentity } from '../system/process-identity.ts';
import type { OperationOptions } from '../system/progress.ts';
import { Console } from '../vm/console.ts';
import type { ProgramEnd, TrialGuest } from './trial.ts';

export interface ContainerGuestRequest extends OperationOptions {
  reference: string;
  /** Its own init runs; else nothing does but the steps. */
  boot: boolean;
  /** A directory with a machine's own files. */
  topLayer: string | undefined;
  /** Told what is done in another way than usual. */
  onWarning: (line: string) => void;
}

/** The process that a container was made for, so that a later command can tell that it is nobody's. */
const OWNER_LABEL = 'imgboot.test.owner';
/** A first process that waits for what nobody ever writes. */
const WAITING = ['/bin/sh', '-c', 'while read -r _; do :; done'];
/** As much of each stream is kept. */
const MOST_BYTES = 2 ** 20;
/** What a shell has for a program that could not be started. */
const notStarted: Readonly<Record<string, number>> = {
  IMGBOOT_COMMAND_NOT_FOUND: 127,
  IMGBOOT_COMMAND_NOT_EXECUTABLE: 126,
};

/** A container of an image, without a network, that is gone when this is disposed. */
export class ContainerGuest implements TrialGuest, AsyncDisposable {
  readonly shell = ['/bin/sh', '-c'];
  readonly #store: Store;
  readonly #container: Container;

  private constructor(store: Store, container: Container) {
    this.#store = store;
    this.#container = container;
  }

  /** Needs root. @throws what `createContainer` and `startContainer` throw */
  static async start(store: Store, request: ContainerGuestRequest): Promise<ContainerGuest> {
    const { reference, onWarning, ...options } = request;
    await sweepContainers(store);
    await removeOrphans(store);
    const container = await createContainer(store, reference, {
      request: createRequest(request),
      progress: options.progress,
      signal: options.signal,
    });
    const guest = new ContainerGuest(store, container);
    try {
      await startContainer(store, container, { signal: options.signal, onWarning });
      return guest;
    } catch (error) {
      await guest[Symbol.asyncDispose]();
      throw error;
    }
  }

  async run(
    words: readonly string[],
    { limitSeconds, signal }: { limitSeconds: number; signal?: AbortSignal | undefined },
  ): Promise<ProgramEnd> {
    signal?.throwIfAborted();
    const [stdout, stderr] = [new Collected(), new Collected()];
    let first: ProcessIdentity | undefined;
    let isLate = false;
    const end = (): void => {
      // It leads a session of its own.
      if (first !== undefined && isSameProcess(first)) process.kill(-first.pid, 'SIGKILL');
    };
    const timer = setTimeout(() => {
      isLate = true;
      end();
    }, limitSeconds * 1000);
    signal?.addEventListener('abort', end, { once: true });
    try {
      const result = await execInContainer(this.#container, {
        args: [...words],
        env: [],
        user: '0',
        workingDir: '/',
        terminal: false,
        stdin: false,
        privileged: false,
        streams: { stdin: undefined, stdout, stderr },
        consoleSize: undefined,
        onStarted: (pid) => {
          first = identifyProcess(pid);
          // It may have been told to end before anybody knew who it is.
          if (isLate || signal?.aborted === true) end();
        },
      });
      signal?.throwIfAborted();
      const status = result !== undefined && 'exitCode' in result ? result.exitCode : 1;
      return { status: isLate ? 'late' : status, stdout: stdout.bytes, stderr: stderr.bytes };
    } catch (error) {
      signal?.throwIfAborted();
      const status = error instanceof ImgbootError ? notStarted[error.code] : undefined;
      if (status === undefined) throw error;
      return { status, stdout: stdout.bytes, stderr: Buffer.from(`${(error as Error).message}\n`) };
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
    }
  }

  async lastLines(): Promise<string | undefined> {
    if (!this.#container.record.boot) return undefined;
    const console = new Console();
    const entries = readLogs(this.#container, {
      sinceMs: undefined,
      untilMs: undefined,
      tail: undefined,
      follow: false,
    });
    for await (const { text, partial } of entries)
      console.append(partial ? text : Buffer.concat([text, Buffer.from('\n')]));
    return console.lastLines();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await discard(this.#store, this.#container);
  }
}

async function discard(store: Store, container: Container): Promise<void> {
  await removeContainer(store, container, { force: true, volumes: true, stopSeconds: undefined });
}

/** Those whose command was killed. */
async function removeOrphans(store: Store): Promise<void> {
  for (const container of listContainers(store)) {
    const owner = container.record.labels[OWNER_LABEL];
    if (owner !== undefined && !isSameProcess(JSON.parse(owner) as ProcessIdentity))
      await discard(store, container);
  }
}

function createRequest({ boot, topLayer }: ContainerGuestRequest): CreateRequest {
  return {
    name: undefined,
    entrypoint: boot ? undefined : [],
    command: boot ? [] : WAITING,
    env: [],
    workingDir: '/',
    user: '0',
    groups: [],
    hostname: undefined,
    terminal: boot,
    stdin: !boot,
    stdinOnce: false,
    labels: { [OWNER_LABEL]: JSON.stringify(identifyProcess(process.pid)) },
    annotations: {},
    stopSignal: undefined,
    stopTimeoutSeconds: 10,
    autoRemove: false,
    boot,
    topLayer,
    security: {
      privileged: false,
      readOnly: false,
      init: false,
      capAdd: [],
      capDrop: [],
      noNewPrivileges: false,
      seccomp: { kind: 'default' },
      userNamespace: 'host',
    },
    network: {
      names: ['none'],
      aliases: [],
      ports: [],
      dns: [],
      dnsSearch: [],
      dnsOptions: [],
      extraHosts: [],
    },
    mounts: [],
    shmBytes: 64 * 2 ** 20,
    devices: [],
    ulimits: [],
    sysctls: {},
    limits: { pids: DEFAULT_PIDS_LIMIT, throttle: [] },
  };
}

/** Keeps the beginning of what is written to it. */
class Collected extends Writable {
  readonly #chunks: Buffer[] = [];
  #size = 0;

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks).subarray(0, MOST_BYTES);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#size < MOST_BYTES) this.#chunks.push(chunk);
    this.#size += chunk.length;
    done();
  }
}
