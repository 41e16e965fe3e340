import { mkdirSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import type { AttachedNetworks, PortMapping } from '../../src/container/network/types.ts';
import { repository } from './paths.ts';
import { TemporaryDirectory } from './temporary-directory.ts';

/** A process that a test has started, in a network namespace of its own. */
export interface Namespace {
  pid: number;
  process: Started;
}

/** A program that was started; how it ends is no error. */
interface Started extends Promise<{ stdout?: unknown; stderr?: unknown; exitCode?: number | undefined }> {
  kill(signal: 'SIGKILL'): boolean;
}

export interface DriverResult {
  error?: { code: string; message: string };
  attached?: AttachedNetworks;
}

const driver = path.join(repository, 'test/support/network-driver.ts');
const PATIENCE_MS = 20_000;

/**
 * A network namespace that plays the host, so that the machine's own interfaces and rules are not touched. Its
 * containers are processes in namespaces of their own. Disposed, it is gone with all that it has.
 */
export class NetworkHost implements AsyncDisposable {
  readonly directory: TemporaryDirectory;
  readonly backEnd: 'netavark' | 'cni';
  readonly #self: Namespace;
  readonly #processes: Started[] = [];
  #count = 0;

  /** What commands keep for this host until it is gone. */
  readonly #runDirectory: string;

  private constructor(directory: TemporaryDirectory, backEnd: 'netavark' | 'cni', self: Namespace) {
    this.directory = directory;
    this.backEnd = backEnd;
    this.#self = self;
    this.#runDirectory = `/run/imgboot/networks/${networkNamespace(self.pid)}`;
  }

  static async create(backEnd: 'netavark' | 'cni'): Promise<NetworkHost> {
    const directory = await TemporaryDirectory.create();
    mkdirSync(path.join(directory.path, 'locks'));
    const host = new NetworkHost(directory, backEnd, await namespace(['unshare', '--net']));
    await host.run('ip', 'link', 'set', 'lo', 'up');
    return host;
  }

  /** A container's process: in its own network namespace, which has only lo. */
  async container(): Promise<Namespace & { id: string; name: string }> {
    const made = await namespace([
      'nsenter',
      '--target',
      String(this.#self.pid),
      '--net',
      'unshare',
      '--net',
    ]);
    this.#processes.push(made.process);
    this.#count += 1;
    return { ...made, id: `${this.#count}`.padStart(64, 'a0'), name: `box${this.#count}` };
  }

  /** Runs a program on the host. @returns what it printed */
  async run(...command: string[]): Promise<string> {
    return inside(this.#self, command);
  }

  start(...command: string[]): Started {
    const { pid } = this.#self;
    const started = execa('nsenter', ['--target', String(pid), '--net', ...command], {
      reject: false,
      forceKillAfterDelay: 1_000,
      env: { IMGBOOT_NETWORK_BACKEND: this.backEnd },
    });
    this.#processes.push(started);
    return started;
  }

  /** Attaches, detaches or sweeps from a process of its own, as a command would. */
  async drive(verb: 'attach' | 'detach' | 'sweep', request: object): Promise<DriverResult> {
    const { stdout, stderr } = await this.driving(verb, request);
    const result = JSON.parse(String(stdout) || '{}') as AttachedNetworks & DriverResult;
    if (stdout === '') throw new Error(`the driver said nothing: ${String(stderr)}`);
    return result?.error === undefined ? { attached: result } : { error: result.error };
  }

  /** The same, while it runs. */
  driving(verb: 'attach' | 'detach' | 'sweep', request: object): Started {
    return this.start(
      process.execPath,
      driver,
      verb,
      JSON.stringify({ root: this.directory.path, ...request }),
    );
  }

  async attach(
    container: { pid: number; id: string; name: string },
    wish: Partial<{
      networks: string[];
      ports: Partial<PortMapping>[];
      aliases: string[];
      dns: string[];
      hostsFile: string;
      root: string;
    }> = {},
  ): Promise<DriverResult> {
    return this.drive('attach', attachRequest(container, wish));
  }

  async detach(container: { id: string }, root = this.directory.path): Promise<DriverResult> {
    return this.drive('detach', { containerId: container.id, root });
  }

  /** A web server in a container that says one word. */
  async serve(container: Namespace, word: string): Promise<void> {
    const content = path.join(this.directory.path, `www-${word}`);
    mkdirSync(content);
    writeFileSync(path.join(content, 'index.html'), `${word}\n`);
    const server = ['busybox', 'httpd', '-f', '-p', '80', '-h', content];
    void this.start('nsenter', '--target', String(container.pid), '--net', ...server);
    await until(async () => (await get(container, '127.0.0.1:80')) === word);
  }

  /** Everything that may be left of a network: interfaces, rules and chains, the name server, taken addresses. */
  async state(): Promise<string[]> {
    const links = JSON.parse(await this.run('ip', '-json', 'link', 'show')) as { ifname: string }[];
    const rules = (await this.run('iptables-save'))
      .split('\n')
      // A table that somebody has looked at is there, with the chains that every table has.
      .filter((line) => line.startsWith('-A ') || (line.startsWith(':') && line.includes(' - ')))
      .map((line) => line.replace(/ \[[0-9:]*\]$/, ''));
    const taken = namesIn(path.join(this.directory.path, 'networks/attached'));
    return [
      ...links.map(({ ifname }) => `link ${ifname}`),
      ...rules,
      ...this.#nameServers().map((pid) => `name server ${pid}`),
      ...taken.map((name) => `attached ${name}`),
    ];
  }

  #nameServers(): string[] {
    return readdirSync('/proc')
      .filter((name) => /^[0-9]+$/.test(name))
      .filter((pid) => {
        try {
          const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
          // One that ended and that nobody has reaped is gone.
          return / \(aardvark-dns\) [^ZX]/.test(stat) && this.#isOurs(pid);
        } catch {
          return false;
        }
      });
  }

  #isOurs(pid: string): boolean {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`${this.#runDirectory}/`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.#nameServers()) process.kill(Number(pid), 'SIGKILL');
    for (const process of [...this.#processes, this.#self.process]) process.kill('SIGKILL');
    await Promise.allSettled([...this.#processes, this.#self.process]);
    rmSync(this.#runDirectory, { recursive: true, force: true });
    await this.directory[Symbol.asyncDispose]();
  }
}

export function attachRequest(
  { pid, id, name }: { pid: number; id: string; name: string },
  wish: object = {},
): object {
  const usual = { networks: ['bridge'], ports: [], aliases: [], dns: [] };
  return { ...usual, ...wish, pid, containerId: id, containerName: name };
}

/** Runs a program in a namespace. @returns what it printed */
export async function inside({ pid }: { pid: number }, command: readonly string[]): Promise<string> {
  const { stdout } = await execa('nsenter', ['--target', String(pid), '--net', ...command], {
    timeout: PATIENCE_MS,
  });
  return stdout;
}

/** What a web server answers to somebody in a namespace; undefined where nobody does. */
export async function get(from: { pid: number } | NetworkHost, address: string): Promise<string | undefined> {
  const [host, port] = address.split(':');
  const script = `exec 3<> /dev/tcp/${host}/${port} && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3`;
  const command = ['timeout', '3', 'bash', '-c', script];
  try {
    const text = await (from instanceof NetworkHost ? from.run(...command) : inside(from, command));
    return text.split('\n').at(-1);
  } catch {
    return undefined;
  }
}

/** Waits, with a limit, until something is so. */
export async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`it did not come to that: ${condition.toString()}`);
    await sleep(50);
  }
}

async function namespace(command: readonly string[]): Promise<Namespace> {
  const own = networkNamespace('self');
  const started = execa(command[0]!, [...command.slice(1), 'sleep', 'infinity'], { reject: false });
  const { pid } = started;
  await until(() => {
    const comm = readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
    return comm === 'sleep' && networkNamespace(pid!) !== own;
  });
  return { pid: pid!, process: started };
}

/** The number by which the kernel knows it. */
function networkNamespace(pid: number | 'self'): string {
  return /[0-9]+/.exec(readlinkSync(`/proc/${pid}/ns/net`))![0];
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
