import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { hexOf, parseDigest, type ChainId, type Digest } from '../image/digest.ts';
import { parseReference } from '../image/reference.ts';
import {
  ambiguousId,
  brokenStore,
  noSuchEngineImage,
  readEngineConfig,
  readEngineFile,
  readEngineJson,
  type EngineImage,
  type EngineImageSummary,
  type EngineStore,
} from './engine-store.ts';

/** Docker's graph drivers whose layers are ours, too. */
const drivers = { overlay2: 'overlay', btrfs: 'btrfs' } as const;
type GraphDriver = keyof typeof drivers;

/**
 * Docker's data root: image/DRIVER/repositories.json names images, imagedb has their configs, and layerdb says by a
 * layer's chain ID which directory of the driver's it is. hooks/lib/docker.sh reads the same.
 */
export class DockerStore implements EngineStore {
  readonly root: string;
  readonly #driver: GraphDriver;
  /** Name with tag or digest, and image ID. */
  readonly #names: Map<string, Digest>;

  private constructor(root: string, driver: GraphDriver) {
    this.root = root;
    this.#driver = driver;
    this.#names = readNames(join(root, 'image', driver, 'repositories.json'));
  }

  /** @throws IMGBOOT_NO_ENGINE_STORE, IMGBOOT_UNSUPPORTED_ENGINE_DRIVER */
  static open(root: string): DockerStore {
    const known = existsSync(join(root, 'image')) ? readdirSync(join(root, 'image')) : [];
    const ours = (Object.keys(drivers) as GraphDriver[]).filter((name) =>
      existsSync(join(root, 'image', name, 'repositories.json')),
    );
    if (ours.length === 1) return new DockerStore(root, ours[0]!);
    if (ours.length > 1)
      throw new ImgbootError(
        'IMGBOOT_UNSUPPORTED_ENGINE_DRIVER',
        `Docker's store ${root} has images of several drivers: ${ours.join(', ')}`,
        { hint: `remove what Docker does not use any more: ${join(root, 'image', ours.at(-1)!)}` },
      );
    if (known.length > 0 || existsSync(join(root, 'containerd')))
      throw new ImgbootError(
        'IMGBOOT_UNSUPPORTED_ENGINE_DRIVER',
        `Docker's store ${root} is ${known.length === 0 ? "containerd's" : `of the driver ${known.join(', ')}`}, and only overlay2 and btrfs can be read`,
        { hint: 'imgboot pull docker-daemon:NAME takes a copy of an image, from the daemon' },
      );
    throw new ImgbootError('IMGBOOT_NO_ENGINE_STORE', `there is no store of Docker's at ${root}`, {
      hint: 'IMGBOOT_DOCKER_ROOT names its data root, where that is elsewhere',
    });
  }

  images(): EngineImageSummary[] {
    return readdirSync(this.#at('imagedb/content/sha256'))
      .sort()
      .map((hex) => {
        const { names, id, config } = this.#config(parseDigest(`sha256:${hex}`));
        const layers = config.rootfs.diff_ids.length;
        return { names, id, created: config.created ?? null, layers, driver: drivers[this.#driver] };
      })
      .filter(({ names }) => names.length > 0);
  }

  find(reference: string): { image: EngineImage; name: string | undefined } {
    const name = familiarName(reference);
    const id = name === undefined ? undefined : this.#names.get(name);
    if (id !== undefined) return { image: this.#image(id), name: name!.includes('@') ? undefined : name };
    return { image: this.#image(this.#byDigits(reference)), name: undefined };
  }

  #byDigits(reference: string): Digest {
    const digits = /^(?:sha256:)?([0-9a-f]{12,64})$/.exec(reference)?.[1];
    const matching =
      digits === undefined
        ? []
        : readdirSync(this.#at('imagedb/content/sha256')).filter((hex) => hex.startsWith(digits));
    if (matching.length > 1) throw ambiguousId(reference);
    if (matching[0] !== undefined) return parseDigest(`sha256:${matching[0]}`);
    const names = [...this.#names.keys()].filter((known) => !known.includes('@'));
    throw noSuchEngineImage({ engine: 'docker', root: this.root }, { reference, names });
  }

  #config(id: Digest): Pick<EngineImage, 'names' | 'id' | 'config' | 'configBytes'> & { chain: ChainId[] } {
    const configBytes = readEngineFile(this.#at('imagedb/content/sha256', hexOf(id)));
    const names = [...this.#names].filter(([name, of]) => of === id && !name.includes('@'));
    return { names: names.map(([name]) => name), id, configBytes, ...readEngineConfig(configBytes, id) };
  }

  #image(id: Digest): EngineImage {
    const { chain, ...image } = this.#config(id);
    const layers = chain.map((chainId, index) => {
      const place = this.#at('layerdb/sha256', hexOf(chainId));
      const cacheId = readEngineFile(join(place, 'cache-id')).toString('utf8').trim();
      if (!/^[0-9a-z-]+$/.test(cacheId))
        throw brokenStore(`the layer ${chainId} has the directory ${JSON.stringify(cacheId)}`);
      const directory =
        this.#driver === 'btrfs'
          ? join(this.root, 'btrfs/subvolumes', cacheId)
          : join(this.root, this.#driver, cacheId, 'diff');
      if (!existsSync(directory)) throw brokenStore(`${directory}, a layer of ${id}, is missing`);
      const diffId = image.config.rootfs.diff_ids[index]!;
      return { chainId, diffId, directory, sizeBytes: readSize(join(place, 'size')) };
    });
    return { ...image, driver: drivers[this.#driver], layers };
  }

  #at(...parts: string[]): string {
    return join(this.root, 'image', this.#driver, ...parts);
  }
}

function readNames(path: string): Map<string, Digest> {
  const { Repositories } = readEngineJson(path) as { Repositories?: Record<string, Record<string, string>> };
  return new Map(
    Object.values(Repositories ?? {}).flatMap((names) =>
      Object.entries(names).map(([name, id]): [string, Digest] => [name, parseDigest(id)]),
    ),
  );
}

/** As Docker writes it down: without docker.io/library/, with a tag. Undefined for what can only be an ID. */
function familiarName(reference: string): string | undefined {
  if (reference.startsWith('sha256:')) return undefined;
  const { name, tag, digest } = parseReference(reference);
  const familiar = name.replace(/^docker\.io\//, '').replace(/^library\//, '');
  return digest === undefined ? `${familiar}:${tag ?? 'latest'}` : `${familiar}@${digest}`;
}

/** A layer whose size nobody wrote down has none. */
function readSize(path: string): number {
  return existsSync(path) ? Number.parseInt(readFileSync(path, 'utf8'), 10) || 0 : 0;
}
