import path from 'node:path';
import { $, sleep, type ProcessPromise } from 'zx';

/** A docker daemon of our own, without a network; dispose it. */
export class DockerDaemon implements AsyncDisposable {
  readonly #daemon: ProcessPromise;
  readonly #socket: string;
  /** What it mounts there for containers with the host's network stays. */
  readonly #hostNetwork: string;

  private constructor(daemon: ProcessPromise, place: { socket: string; hostNetwork: string }) {
    this.#daemon = daemon;
    this.#socket = place.socket;
    this.#hostNetwork = place.hostNetwork;
  }

  /** @param data gets what it keeps, on a file system that its driver works on; `data` in the directory by default */
  static async start(
    directory: string,
    driver: 'btrfs' | 'overlay2' | 'vfs',
    data = path.join(directory, 'data'),
  ): Promise<DockerDaemon> {
    const at = (name: string): string => path.join(directory, name);
    const socket = `unix://${at('docker.sock')}`;
    const places = ['--data-root', data, '--exec-root', at('exec'), '--pidfile', at('pid')];
    const daemon = $({
      nothrow: true,
      quiet: true,
    })`setpriv --pdeathsig TERM -- dockerd --host ${socket} ${places} --storage-driver ${driver} --iptables=false --bridge=none`;
    const started = new DockerDaemon(daemon, { socket, hostNetwork: at('exec/netns/default') });
    for (let tries = 0; !(await started.answers()); tries += 1) {
      if (tries > 120) {
        await daemon.kill('SIGTERM');
        throw new Error(`dockerd did not start within a minute:\n${(await daemon).stderr}`);
      }
      await sleep(500);
    }
    return started;
  }

  /** Runs a command of docker's. @returns what it prints */
  async docker(...words: string[]): Promise<string> {
    // The builder that is part of the daemon: BuildKit comes as a plug-in that Debian 12 has not.
    const env = { ...process.env, DOCKER_BUILDKIT: '0' };
    return (await $({ env })`docker --host ${this.#socket} ${words}`).stdout;
  }

  private async answers(): Promise<boolean> {
    return (await $({ nothrow: true, quiet: true })`docker --host ${this.#socket} version`).exitCode === 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon.kill('SIGTERM');
    await this.#daemon;
    await $({ nothrow: true, quiet: true })`umount ${this.#hostNetwork}`;
  }
}
