import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Deployments } from '../../src/deploy/deployments.ts';
import type { DeployRequest } from '../../src/deploy/deploy.ts';
import type { LoaderName, Machine } from '../../src/loader/machine.ts';
import { listing } from './listing.ts';
import { loopFilesystem, type LoopFilesystem } from './loop-filesystem.ts';
import { runCliOk } from './run-cli.ts';
import { tar, type EntrySpec } from './tar-builder.ts';
import { storeFilesystem, type TestStore, type DriverCase, type StoreFilesystem } from './test-store.ts';

/** What a machine's own loader has before anything is deployed. */
const OTHERS_ENTRY = 'title Debian\nlinux /vmlinuz\n';

/** A layer with what a deployment looks at: a kernel, an init, and a file that tells it from others. */
export function bootableLayer(number: number, ...more: EntrySpec[]): Buffer {
  return tar(
    { path: 'sbin/init', content: '#!/bin/sh\n', mode: 0o755 },
    { path: 'boot/vmlinuz-1.0', content: Buffer.alloc(1 << 20, `kernel ${number} `) },
    { path: 'lib/modules/1.0/modules.dep', content: '' },
    { path: 'etc/number', content: String(number) },
    ...more,
  );
}

/** A machine that runs a distribution with systemd-boot, whose ESP is an ext4 here, and has a store. Dispose it. */
export class DeployHost implements AsyncDisposable {
  readonly store: TestStore;
  readonly filesystem: StoreFilesystem;
  /** Where the file system that the loader reads is mounted. */
  readonly boot: string;
  readonly #esp: LoopFilesystem;

  static async create(
    driver: DriverCase,
    espBytes = 48 * 2 ** 20,
    storeBytes = 2 ** 30,
  ): Promise<DeployHost> {
    const filesystem = await storeFilesystem(driver, storeBytes);
    const esp = await loopFilesystem({ type: 'ext4', sizeBytes: espBytes });
    return new DeployHost(filesystem, esp);
  }

  private constructor(filesystem: StoreFilesystem, esp: LoopFilesystem) {
    this.filesystem = filesystem;
    this.#esp = esp;
    this.store = filesystem.store();
    this.boot = esp.mountPoint;
    mkdirSync(path.join(this.boot, 'loader/entries'), { recursive: true });
    writeFileSync(path.join(this.boot, 'loader/loader.conf'), 'timeout 3\ndefault debian*');
    writeFileSync(path.join(this.boot, 'loader/entries/debian.conf'), OTHERS_ENTRY);
  }

  /** Loads an image that {@link bootableLayer} makes, in place of what had the name. */
  async load(name: string, number: number, ...more: EntrySpec[]): Promise<void> {
    await this.store.load(this.filesystem.layout({ name, layers: [bootableLayer(number, ...more)] }));
  }

  async deploy(image: string, ...args: string[]): Promise<string> {
    return this.store.cliOk('deploy', [image, '--boot-dir', this.boot, ...args]);
  }

  /** What deployments.json says; there is none where nothing is deployed. */
  get deployments(): Pick<Deployments, 'default' | 'deployments'> {
    const file = path.join(this.store.path, 'deployments.json');
    if (!existsSync(file)) return { default: null, deployments: [] };
    return JSON.parse(readFileSync(file, 'utf8')) as Deployments;
  }

  /** The versions there are, as users see them. */
  async versions(): Promise<string[]> {
    const listed = await runCliOk(['deployment', 'ls', '--store', this.store.path, '--quiet']);
    return listed.split('\n').filter(Boolean);
  }

  /** A version's files. */
  version(id: string, ...names: string[]): string {
    return path.join(this.store.path, 'deployments', id, ...names);
  }

  /** What the booted system leaves when it has found itself good. */
  bless(id: string): void {
    writeFileSync(this.version(id, 'good'), '');
  }

  entries(): string[] {
    return readdirSync(path.join(this.boot, 'loader/entries')).sort();
  }

  /** Everything that a failed command must leave as it was. */
  async state(): Promise<string[]> {
    const boot = await listing(this.boot);
    const { store } = this;
    const deployments = path.join(store.path, 'deployments.json');
    return [
      ...boot.map((line) => withoutTimes(line)).filter((line) => !line.startsWith('d ')),
      ...(await listing(path.join(store.path, 'deployments')))
        .map((line) => withoutTimes(line))
        .filter((line) => !line.startsWith('d ')),
      existsSync(deployments) ? readFileSync(deployments, 'utf8') : '',
    ];
  }

  /**
   * The version that systemd-boot would start now: its entry, kernel and initramfs are there, and what its initramfs
   * reads in the store. `debian` for the distribution.
   */
  bootedNext(): string {
    const conf = readFileSync(path.join(this.boot, 'loader/loader.conf'), 'utf8');
    const pattern = conf
      .match(/^default (.*)$/gm)!
      .at(-1)!
      .slice('default '.length);
    const glob = new RegExp(
      `^${pattern.replaceAll('.', '\\.').replaceAll('[\\.+]', '[.+]').replaceAll('*', '.*')}$`,
    );
    const matching = this.entries()
      .filter((name) => glob.test(name))
      .map((name) => ({ name, ...this.#entry(name) }));
    const best = matching.toSorted(
      (a, b) =>
        Number(/\+0-/.test(a.name)) - Number(/\+0-/.test(b.name)) || Number(b.version) - Number(a.version),
    )[0];
    if (best === undefined || best.name === 'debian.conf')
      return best === undefined ? `nothing for ${pattern}` : 'debian';
    const id = /imgboot\.deployment=(\S+)/.exec(best.options!)![1]!;
    const broken = (['linux', 'initrd'] as const).find((file) => {
      const there = statSync(path.join(this.boot, best[file]!), { throwIfNoEntry: false })?.size;
      return there !== statSync(this.version(id, path.basename(best[file]!))).size;
    });
    if (broken !== undefined) return `${id} without ${broken}`;
    const isReadable = readFileSync(this.version(id, 'boot'), 'utf8').includes(`\ndeployment=${id}\n`);
    return isReadable ? id : `${id} without its boot file`;
  }

  /** What lies about that deployments.json does not name. */
  strays(): string[] {
    const ids = this.deployments.deployments.flatMap(({ name, versions }) =>
      versions.map(({ number }) => `${name}/${number}`),
    );
    const names = readdirSync(path.join(this.store.path, 'deployments'));
    const there = names.flatMap((name) =>
      readdirSync(this.version(name))
        .filter((entry) => entry !== 'persist')
        .map((entry) => `${name}/${entry}`),
    );
    const imgboot = path.join(this.boot, 'imgboot');
    const kernels = existsSync(imgboot) ? readdirSync(imgboot) : [];
    const expected = new Set(ids.map((id) => id.replace('/', '-')));
    return [
      ...there.filter((id) => !ids.includes(id)),
      ...kernels.filter((name) => !expected.has(name)).map((name) => `kernel ${name}`),
      ...this.entries().filter(
        (name) => name !== 'debian.conf' && !expected.has(/^imgboot-(.*?-[0-9]+)[-+.]/.exec(name)?.[1] ?? ''),
      ),
      ...readdirSync(path.join(this.store.path, 'tmp')),
    ];
  }

  #entry(name: string): Partial<Record<'linux' | 'initrd' | 'options' | 'version', string>> {
    const text = readFileSync(path.join(this.boot, 'loader/entries', name), 'utf8');
    return Object.fromEntries([...text.matchAll(/^(\S+) (.*)$/gm)].map((match) => [match[1], match[2]]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#esp[Symbol.asyncDispose]();
    await this.filesystem[Symbol.asyncDispose]();
  }
}

/** `find`'s line without the time. */
function withoutTimes(line: string): string {
  return line.replace(/ [0-9]+\.[0-9]{5,} /, ' ');
}

/** A request that needs nothing of the running machine: the loader's file system is a directory. */
export function stagedRequest(
  boot: string,
  request: {
    reference: string;
    loader: LoaderName;
    directory: string;
    machine?: Partial<Machine>;
    append?: string[];
  },
): DeployRequest {
  return {
    reference: request.reference,
    writable: 'ephemeral',
    append: request.append ?? [],
    topLayer: [],
    persist: [],
    keep: 2,
    machine: {
      root: ['root=UUID=0b1c', 'rootfstype=ext4'],
      store: '/imgboot',
      storePath: '/imgboot',
      loader: request.loader,
      boot: { uuid: 'ABCD-1234', fstype: 'vfat' },
      directory: request.directory,
      owner: 'system',
      ...request.machine,
    },
    bootDirectory: boot,
  };
}
