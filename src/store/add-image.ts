import { chmodSync, existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf } from '../image/digest.ts';
import {
  CONFIG_TYPE,
  MANIFEST_TYPE,
  parseConfig,
  type Config,
  type Descriptor,
  type Manifest,
} from '../image/manifest.ts';
import { syncTree } from '../system/durable.ts';
import type { Digest } from '../image/digest.ts';
import type { StorePaths } from './paths.ts';
import type { Workspace } from './workspace.ts';

const BLOB_MODE = 0o600;

/**
 * Moves a finished blob of a workspace into the layout: a rename, so it is whole or absent. One that is there already
 * is replaced, since it may be damaged.
 */
export function adoptBlob(paths: StorePaths, blob: { path: string; digest: Digest }): void {
  // The same blob twice in one image has moved the first time.
  if (!existsSync(blob.path) && existsSync(paths.blob(blob.digest))) return;
  chmodSync(blob.path, BLOB_MODE);
  renameSync(blob.path, paths.blob(blob.digest));
}

/** Writes an image's config and manifest as blobs, and makes all blobs durable. @returns the manifest's descriptor */
export function writeManifest(
  paths: StorePaths,
  image: {
    /** Bytes stay as they are, and so does the image ID. */
    config: Config | Buffer;
    layers: Descriptor[];
    workspace: Pick<Workspace, 'path'>;
    /** Nothing is flushed where config and manifest are there, too. */
    layersAreDurable?: boolean;
  },
): Descriptor {
  const bytes = Buffer.isBuffer(image.config) ? image.config : Buffer.from(JSON.stringify(image.config));
  const config = writeBlob(paths, { bytes, mediaType: CONFIG_TYPE, workspace: image.workspace });
  const { architecture, os } = parseConfig(bytes, `config ${config.digest}`);
  const manifest: Manifest = { schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers: image.layers };
  const manifestBlob = paths.blob(digestOf(JSON.stringify(manifest)));
  const isDurable =
    image.layersAreDurable === true && existsSync(manifestBlob) && existsSync(paths.blob(config.digest));
  const descriptor = writeBlob(paths, {
    bytes: Buffer.from(JSON.stringify(manifest)),
    mediaType: MANIFEST_TYPE,
    workspace: image.workspace,
  });
  if (!isDurable) syncTree(paths.blobs);
  return { ...descriptor, platform: { architecture, os } };
}

function writeBlob(
  paths: StorePaths,
  blob: { bytes: Buffer; mediaType: string; workspace: Pick<Workspace, 'path'> },
): Descriptor {
  const { bytes } = blob;
  const digest = digestOf(bytes);
  const aside = join(blob.workspace.path, 'blob');
  writeFileSync(aside, bytes, { mode: BLOB_MODE });
  adoptBlob(paths, { path: aside, digest });
  return { mediaType: blob.mediaType, digest, size: bytes.length };
}
