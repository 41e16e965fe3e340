import { ImgbootError } from '../errors.ts';
import { parseDigest, type DiffId, type Digest } from './digest.ts';

/** @see image-spec descriptor.md */
export interface Descriptor {
  mediaType: string;
  digest: Digest;
  /** Bytes. */
  size: number;
  annotations?: Record<string, string>;
  platform?: { architecture: string; os: string; variant?: string };
}

/** @see image-spec image-index.md */
export interface Index {
  schemaVersion: 2;
  mediaType?: string;
  manifests: Descriptor[];
}

/** @see image-spec manifest.md */
export interface Manifest {
  schemaVersion: 2;
  mediaType?: string;
  config: Descriptor;
  layers: Descriptor[];
  annotations?: Record<string, string>;
}

/** Docker's health check; durations in nanoseconds. */
export interface Healthcheck {
  Test: string[];
  Interval?: number;
  Timeout?: number;
  StartPeriod?: number;
  StartInterval?: number;
  Retries?: number;
}

/** One step in the making of an image. @see image-spec config.md */
export interface HistoryEntry {
  created?: string;
  created_by?: string;
  author?: string;
  comment?: string;
  empty_layer?: boolean;
}

/** @see image-spec config.md */
export interface Config {
  created?: string;
  author?: string;
  architecture: string;
  os: string;
  variant?: string;
  config?: {
    User?: string;
    Env?: string[];
    Entrypoint?: string[];
    Cmd?: string[];
    WorkingDir?: string;
    Labels?: Record<string, string>;
    StopSignal?: string;
    Volumes?: Record<string, object>;
    ExposedPorts?: Record<string, object>;
    /** Docker's own; OCI knows neither, and keeps what it does not know. */
    Shell?: string[];
    Healthcheck?: Healthcheck;
    OnBuild?: string[];
  };
  rootfs: { type: 'layers'; diff_ids: DiffId[] };
  history?: HistoryEntry[];
}

export const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';
export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
export const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json';
export const LAYER_TYPE = 'application/vnd.oci.image.layer.v1.tar';

/** The annotation that carries an image's name in an index. @see image-spec annotations.md */
export const REF_NAME = 'org.opencontainers.image.ref.name';

/** A layer's media type by the compression of its blob. */
export const layerMediaTypes = {
  none: LAYER_TYPE,
  gzip: `${LAYER_TYPE}+gzip`,
  zstd: `${LAYER_TYPE}+zstd`,
} as const;

/** @throws IMGBOOT_BAD_MANIFEST when the bytes are not an image manifest */
export function parseManifest(bytes: Buffer, name: string): Manifest {
  const manifest = parseObject(bytes, name) as unknown as Manifest;
  if (manifest.config === undefined || !Array.isArray(manifest.layers)) {
    throw badManifest(name, 'it has no config or no layers');
  }
  for (const descriptor of [manifest.config, ...manifest.layers]) checkDescriptor(descriptor, name);
  return manifest;
}

/** @throws IMGBOOT_BAD_MANIFEST when the bytes are not an index */
export function parseIndex(bytes: Buffer, name: string): Index {
  const index = parseObject(bytes, name) as unknown as Index;
  if (!Array.isArray(index.manifests)) throw badManifest(name, 'it has no manifests');
  for (const descriptor of index.manifests) checkDescriptor(descriptor, name);
  return index;
}

/** @throws IMGBOOT_BAD_MANIFEST when the bytes are not an image config */
export function parseConfig(bytes: Buffer, name: string): Config {
  const config = parseObject(bytes, name) as unknown as Config;
  if (!Array.isArray(config.rootfs?.diff_ids)) throw badManifest(name, 'it has no rootfs.diff_ids');
  for (const diffId of config.rootfs.diff_ids) parseDigest(diffId);
  for (const key of ['architecture', 'os', 'created'] as const) {
    if (config[key] !== undefined && typeof config[key] !== 'string')
      throw badManifest(name, `its ${key} is no text`);
  }
  if (!isListOfObjects(config.history ?? [])) throw badManifest(name, 'its history is no list of steps');
  return config;
}

function parseObject(bytes: Buffer, name: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw badManifest(name, 'it is not JSON', cause);
  }
  if (isObject(value)) return value;
  throw badManifest(name, 'it is not a JSON object');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isListOfObjects(value: unknown): boolean {
  return Array.isArray(value) && value.every(isObject);
}

function checkDescriptor(descriptor: Descriptor, name: string): void {
  if (!isObject(descriptor)) throw badManifest(name, 'it has a descriptor that is no object');
  parseDigest(descriptor.digest);
  if (!Number.isSafeInteger(descriptor.size) || descriptor.size < 0) {
    throw badManifest(descriptor.digest, `its size is ${JSON.stringify(descriptor.size)}`);
  }
}

function badManifest(name: string, why: string, cause?: unknown): ImgbootError {
  return new ImgbootError('IMGBOOT_BAD_MANIFEST', `${name} cannot be read: ${why}`, { cause });
}
