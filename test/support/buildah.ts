import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';

/** What another implementation made of a Dockerfile. */
export interface PeerImage {
  /** Its root file system. */
  root: string;
  config: DockerConfig;
}

/** An image config as docker writes it. */
export interface DockerConfig {
  author?: string;
  config?: Record<string, unknown>;
  history?: unknown[];
}

/** buildah with images of its own in a directory: every image is a plain directory there. */
export class Buildah {
  readonly #flags: string[];
  readonly #storage: string;

  constructor(directory: string) {
    this.#storage = path.join(directory, 'buildah');
    mkdirSync(this.#storage);
    this.#flags = ['--root', this.#at('root'), '--runroot', this.#at('run'), '--storage-driver', 'vfs'];
  }

  /** Copies an image of an OCI layout in, so that both build on the same bytes. */
  async take(layout: string, reference: string): Promise<void> {
    const storage = `containers-storage:[vfs@${this.#at('root')}+${this.#at('run')}]localhost/${reference}`;
    await execa('skopeo', ['copy', '--quiet', `oci:${layout}:${reference}`, storage]);
  }

  async build(request: {
    name: string;
    dockerfile: string;
    context: string;
    args?: readonly string[];
  }): Promise<PeerImage> {
    const options = ['--isolation', 'chroot', '--network', 'host', '--layers=false', '--format', 'docker'];
    const name = ['--tag', request.name, '--file', request.dockerfile];
    const built = await execa(
      'buildah',
      [...this.#flags, 'bud', '--quiet', ...options, ...(request.args ?? []), ...name, request.context],
      { reject: false, all: true, env: { BUILDAH_ISOLATION: 'chroot' } },
    );
    if (built.exitCode !== 0) throw new Error(`buildah failed on ${request.name}:\n${built.all}`);
    return this.image(request.name);
  }

  image(name: string): PeerImage {
    const directory = this.#at('root/vfs-images');
    const images = JSON.parse(readFileSync(path.join(directory, 'images.json'), 'utf8')) as {
      id: string;
      names?: string[];
      layer: string;
    }[];
    const image = images.find(({ names }) => names?.some((other) => other.includes(`/${name}:`)) === true);
    if (image === undefined) throw new Error(`buildah has no image ${name}`);
    // Big data lies under its key in base64.
    const file = readdirSync(path.join(directory, image.id)).find(
      (entry) => Buffer.from(entry.slice(1), 'base64').toString() === `sha256:${image.id}`,
    )!;
    return {
      root: path.join(this.#at('root/vfs/dir'), image.layer),
      config: JSON.parse(readFileSync(path.join(directory, image.id, file), 'utf8')) as DockerConfig,
    };
  }

  #at(name: string): string {
    return path.join(this.#storage, name);
  }
}
