import { createSocket } from 'node:dgram';
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '../../errors.ts';
import { identifyProcess } from '../../system/process-identity.ts';

const NAME = 'aardvark-dns';
/** A process's name has at most 15 characters. */
const PID_FILE = 'aardvark.pid';
const PATIENCE_MS = 3_000;
const POLL_MS = 20;

/**
 * The name server of a store's networks: aardvark-dns, which netavark starts and tells of containers by files, one a
 * network, and SIGHUP. Killed at any moment, either may have left what does not fit the other.
 */
export class NameServer {
  readonly #directory: string;

  constructor(runDirectory: string) {
    this.#directory = join(runDirectory, NAME);
  }

  /** Forgets a server that is gone: its PID may be somebody else's now, who would get the signal. */
  forgetIfGone(): void {
    if (this.#pid() === undefined) rmSync(join(this.#directory, PID_FILE), { force: true });
  }

  /** Withdraws a container's names from a network; all of them where `containerId` is undefined. */
  withdraw(network: string, containerId: string | undefined): void {
    const file = join(this.#directory, network);
    if (!existsSync(file)) return;
    const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
    // The first line is the network's own.
    const kept = containerId === undefined ? [] : lines.filter((line) => !line.startsWith(`${containerId} `));
    if (kept.length === lines.length) return;
    if (kept.length <= 1) rmSync(file);
    else writeFileSync(file, `${kept.join('\n')}\n`);
    const pid = this.#pid();
    if (pid !== undefined) process.kill(pid, 'SIGHUP');
  }

  /** Waits until it answers for a name. @returns whether it does */
  async answersFor(name: string, gateway: string): Promise<boolean> {
    const deadline = Date.now() + PATIENCE_MS;
    while (Date.now() < deadline) {
      if (await isAnswered(name, gateway)) return true;
      if (this.#pid() === undefined) return false;
    }
    return false;
  }

  /** Ends it where no network is left. It does so itself; this is for when it did not hear of it. */
  async endIfIdle(): Promise<void> {
    if (!existsSync(this.#directory) || this.#networks().length > 0) return;
    for (const signal of ['SIGHUP', 'SIGTERM', 'SIGKILL'] as const) {
      const pid = this.#pid();
      if (pid === undefined) break;
      try {
        process.kill(pid, signal);
      } catch (error) {
        if (errnoOf(error) !== 'ESRCH') throw error;
      }
      const deadline = Date.now() + PATIENCE_MS;
      while (this.#pid() !== undefined && Date.now() < deadline) await sleep(POLL_MS);
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** The arguments that start one for the files that are there; undefined while one runs, or where there are none. */
  restartArguments(): string[] | undefined {
    this.forgetIfGone();
    return this.#networks().length === 0 || this.#pid() !== undefined
      ? undefined
      : ['--config', this.#directory, '-p', '53', 'run'];
  }

  #networks(): string[] {
    return readdirSync(this.#directory).filter((name) => name !== PID_FILE);
  }

  #pid(): number | undefined {
    try {
      const pid = Number(readFileSync(join(this.#directory, PID_FILE), 'utf8'));
      if (!Number.isInteger(pid) || pid <= 1 || identifyProcess(pid) === undefined) return undefined;
      return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === NAME ? pid : undefined;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return undefined;
      throw error;
    }
  }
}

const QUERY_MS = 100;

/** Asks once for a name's IPv4 address. @see RFC 1035, section 4 */
async function isAnswered(name: string, server: string): Promise<boolean> {
  const socket = createSocket('udp4');
  try {
    return await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), QUERY_MS);
      const conclude = (answered: boolean): void => {
        clearTimeout(timer);
        // Not at once: a server that is not there yet refuses at once.
        setTimeout(() => resolve(answered), answered ? 0 : POLL_MS);
      };
      socket.once('error', () => conclude(false));
      // The count of answers is the fourth number of the header.
      socket.once('message', (answer) => conclude(answer.length >= 12 && answer.readUInt16BE(6) > 0));
      // Connected, so that a refusal is told.
      socket.connect(53, server, () => socket.send(queryFor(name)));
    });
  } finally {
    socket.close();
  }
}

function queryFor(name: string): Buffer {
  const header = Buffer.from([0x69, 0x62, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
  const labels = name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label, 'latin1')]));
  // Type A, class IN.
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, 1, 0, 1])]);
}
