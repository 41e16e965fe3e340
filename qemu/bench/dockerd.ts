import path from 'node:path';
import { $, sleep, type ProcessPromise } from 'zx';

/** A docker daemon of our own, without a network; dispose it. */
export class DockerDaemon implements AsyncDisposable {
  readonly #daemon: ProcessPromise;
  readonly #socket: string;

  private constructor(daemon: ProcessPromise, socket: string) {
    this.#daemon = daemon;
    this.#socket = socket;
  }

  /** @param directory gets everything that it keeps, on a file system that its driver works on */
  static async start(directory: string, driver: 'btrfs' | 'overlay2'): Promise<DockerDaemon> {
    const at = (name: string): string => path.join(directory, name);
    const socket = `unix://${at('docker.sock')}`;
    const places = ['--data-root', at('data'), '--exec-root', at('exec'), '--pidfile', at('pid')];
    const daemon = $({
      nothrow: true,
    })`dockerd --host ${socket} ${places} --storage-driver ${driver} --iptables=false --bridge=none`;
    const started = new DockerDaemon(daemon, socket);
    for (let tries = 0; !(await started.answers()); tries += 1) {
      if (tries > 120 || daemon.exitCode instanceof Error)
        throw new Error('dockerd did not start within a minute');
      await sleep(500);
    }
    return started;
  }

  /** Runs a command of docker's. */
  async docker(...words: string[]): Promise<void> {
    // The builder that is part of the daemon: BuildKit comes as a plug-in that Debian 12 has not.
    await $({ env: { ...process.env, DOCKER_BUILDKIT: '0' } })`docker --host ${this.#socket} ${words}`;
  }

  private async answers(): Promise<boolean> {
    return (await $({ nothrow: true })`docker --host ${this.#socket} version`).exitCode === 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon.kill('SIGTERM');
    await this.#daemon;
  }
}
