import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ImgbootError } from '../errors.ts';
import { parseDigest, type Digest } from '../image/digest.ts';
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

const drivers = ['overlay', 'btrfs'] as const;
type Driver = (typeof drivers)[number];

/** An entry of images.json. */
interface ImageEntry {
  /** Hex. */
  id: string;
  digest?: string;
  names?: string[];
  /** The topmost layer. */
  layer?: string;
}

/** An entry of layers.json. */
interface LayerEntry {
  id: string;
  parent?: string;
  'diff-size'?: number;
}

/**
 * The root of containers/storage: DRIVER-images/images.json names images, DRIVER-layers/layers.json says which layer
 * lies on which. A layer's ID is its directory. hooks/lib/podman.sh reads the same.
 */
export class PodmanStore implements EngineStore {
  readonly root: string;
  readonly #driver: Driver;
  readonly #images: ImageEntry[];

  private constructor(root: string, driver: Driver) {
    this.root = root;
    this.#driver = driver;
    this.#images = readEngineJson(join(root, `${driver}-images/images.json`)) as ImageEntry[];
  }

  /** @throws IMGBOOT_NO_ENGINE_STORE, IMGBOOT_UNSUPPORTED_ENGINE_DRIVER */
  static open(root: string, wanted?: string): PodmanStore {
    if (wanted !== undefined && !drivers.some((name) => name === wanted))
      throw new ImgbootError(
        'IMGBOOT_UNSUPPORTED_ENGINE_DRIVER',
        `Podman's driver ${wanted} cannot be read, only ${drivers.join(' and ')}`,
        { hint: 'imgboot pull containers-storage:NAME takes a copy of an image' },
      );
    const driver = drivers.find(
      (name) =>
        (wanted === undefined || name === wanted) && existsSync(join(root, `${name}-images/images.json`)),
    );
    if (driver !== undefined) return new PodmanStore(root, driver);
    throw new ImgbootError(
      'IMGBOOT_NO_ENGINE_STORE',
      `there is no store of Podman's with the driver ${wanted ?? drivers.join(' or ')} at ${root}`,
      { hint: `write containers-storage:[overlay@DIR]NAME where it is elsewhere` },
    );
  }

  images(): EngineImageSummary[] {
    const named = this.#images.filter(({ names }) => names !== undefined && names.length > 0);
    return named.map((entry) => {
      const { names, id, config } = this.#config(entry);
      const layers = config.rootfs.diff_ids.length;
      return { names, id, created: config.created ?? null, layers, driver: this.#driver };
    });
  }

  find(reference: string): { image: EngineImage; name: string | undefined } {
    for (const name of podmanNames(reference)) {
      const entry = this.#images.find(({ names }) => names?.includes(name));
      if (entry !== undefined) return { image: this.#image(entry), name };
    }
    return { image: this.#image(this.#byDigest(reference)), name: undefined };
  }

  #byDigest(reference: string): ImageEntry {
    const digest = /@(sha256:[0-9a-f]{64})$/.exec(reference)?.[1];
    const digits = /^(?:sha256:)?([0-9a-f]{12,64})$/.exec(reference)?.[1];
    const matching = this.#images.filter((entry) =>
      digest === undefined ? digits !== undefined && entry.id.startsWith(digits) : entry.digest === digest,
    );
    if (matching.length > 1) throw ambiguousId(reference);
    if (matching[0] !== undefined) return matching[0];
    const names = this.#images.flatMap((entry) => entry.names ?? []);
    throw noSuchEngineImage({ engine: 'podman', root: this.root }, { reference, names });
  }

  #config({ id: hex, names = [] }: ImageEntry): Omit<EngineImage, 'driver' | 'layers'> & {
    chain: ReturnType<typeof readEngineConfig>['chain'];
  } {
    const id: Digest = parseDigest(`sha256:${hex}`);
    // The name of what is not safe as a file's name: containers/storage, makeBigDataBaseName.
    const file = `=${Buffer.from(id).toString('base64')}`;
    const configBytes = readEngineFile(join(this.root, `${this.#driver}-images`, hex, file));
    return { names, id, configBytes, ...readEngineConfig(configBytes, id) };
  }

  #image(entry: ImageEntry): EngineImage {
    const { chain, ...image } = this.#config(entry);
    const entries = this.#chainOf(entry);
    if (entries.length !== chain.length)
      throw brokenStore(
        `${image.id} has ${entries.length} layers in ${this.root}, and ${chain.length} by its config`,
      );
    const layers = entries.map(({ id, 'diff-size': sizeBytes = 0 }, index) => {
      const directory =
        this.#driver === 'btrfs'
          ? join(this.root, 'btrfs/subvolumes', id)
          : join(this.root, 'overlay', id, 'diff');
      if (!existsSync(directory)) throw brokenStore(`${directory}, a layer of ${image.id}, is missing`);
      return { chainId: chain[index]!, diffId: image.config.rootfs.diff_ids[index]!, directory, sizeBytes };
    });
    return { ...image, driver: this.#driver, layers };
  }

  /** Bottom first. */
  #chainOf({ layer }: ImageEntry): LayerEntry[] {
    const known = new Map(
      (readEngineJson(join(this.root, `${this.#driver}-layers/layers.json`)) as LayerEntry[]).map((one) => [
        one.id,
        one,
      ]),
    );
    const chain: LayerEntry[] = [];
    for (let id = layer ?? ''; id !== '';) {
      const found = known.get(id);
      if (found === undefined || chain.length > known.size || !/^[0-9a-f]+$/.test(id))
        throw brokenStore(`the layer ${id} is missing in ${this.root}; it may be half pulled`);
      chain.unshift(found);
      id = found.parent ?? '';
    }
    return chain;
  }
}

/** What a short name may mean, in Podman's order. */
function podmanNames(reference: string): string[] {
  if (reference.startsWith('sha256:')) return [];
  const { name, tag, digest } = parseReference(reference);
  if (digest !== undefined) return [];
  const full = `${name}:${tag ?? 'latest'}`;
  return [full, `localhost/${full}`, `docker.io/library/${full}`, `docker.io/${full}`];
}
