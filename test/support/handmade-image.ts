import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';

/** A layer of a handmade image. */
export interface LayerSpec {
  tar: Buffer;
  compression?: 'none' | 'gzip' | 'zstd';
  /** The blob's bytes, where they shall not be what the tar makes. */
  blob?: Buffer;
  /** What the config says, where it shall lie. */
  diffId?: string;
}

export interface ImageSpec {
  /** `org.opencontainers.image.ref.name`; none when undefined. */
  name?: string;
  layers: (LayerSpec | Buffer)[];
  /** Changes of the config, the manifest and the index, to make them wrong. */
  config?: (config: Record<string, unknown>) => void;
  manifest?: (manifest: Record<string, unknown>) => void;
}

const mediaTypes = {
  none: 'application/vnd.oci.image.layer.v1.tar',
  gzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  zstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
} as const;

/** Writes an OCI image layout with these images, by no code of ours but this. @returns `directory` */
export function writeLayout(directory: string, ...images: ImageSpec[]): string {
  mkdirSync(path.join(directory, 'blobs/sha256'), { recursive: true });
  writeFileSync(path.join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const manifests = images.map((image) => ({
    ...writeImage(directory, image),
    ...(image.name === undefined ? {} : { annotations: { 'org.opencontainers.image.ref.name': image.name } }),
  }));
  writeFileSync(path.join(directory, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
  return directory;
}

function writeImage(directory: string, image: ImageSpec): Descriptor {
  const specs = image.layers.map((layer) => (Buffer.isBuffer(layer) ? { tar: layer } : layer));
  const layers = specs.map((layer) => {
    const compression = layer.compression ?? 'none';
    return writeBlob(directory, layer.blob ?? compress(layer.tar, compression), mediaTypes[compression]);
  });
  const config = {
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: specs.map((layer) => layer.diffId ?? sha256(layer.tar)) },
    history: specs.map((_, index) => ({ created_by: `layer ${index}` })),
  };
  image.config?.(config);
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: writeBlob(
      directory,
      Buffer.from(JSON.stringify(config)),
      'application/vnd.oci.image.config.v1+json',
    ),
    layers,
  };
  image.manifest?.(manifest);
  return writeBlob(
    directory,
    Buffer.from(JSON.stringify(manifest)),
    'application/vnd.oci.image.manifest.v1+json',
  );
}

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

/** Puts a blob into a layout under the digest that it has. */
export function writeBlob(directory: string, bytes: Buffer, mediaType: string): Descriptor {
  const digest = sha256(bytes);
  writeFileSync(path.join(directory, 'blobs/sha256', digest.slice('sha256:'.length)), bytes);
  return { mediaType, digest, size: bytes.length };
}

export function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function compress(tar: Buffer, compression: 'none' | 'gzip' | 'zstd'): Buffer {
  if (compression === 'none') return tar;
  return compression === 'gzip' ? gzipSync(tar, { level: 1 }) : zstdCompressSync(tar);
}
