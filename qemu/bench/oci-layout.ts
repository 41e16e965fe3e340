import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, constants, mkdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

/** Writes an OCI image layout with one image of uncompressed layer tars, bottom first. @see image-spec image-layout.md */
export async function writeOciLayout(
  directory: string,
  image: { reference: string; layers: readonly string[] },
): Promise<void> {
  const blobs = path.join(directory, 'blobs/sha256');
  await mkdir(blobs, { recursive: true });
  const layers: Descriptor[] = [];
  for (const layer of image.layers) {
    const digest = await digestOfFile(layer);
    await copyFile(layer, path.join(blobs, digest), constants.COPYFILE_FICLONE);
    layers.push({
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      digest: `sha256:${digest}`,
      size: (await stat(layer)).size,
    });
  }
  const config = await writeBlob(blobs, 'application/vnd.oci.image.config.v1+json', {
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.digest) },
    history: layers.map((_, index) => ({ created_by: `layer ${index}` })),
  });
  const manifestType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = await writeBlob(blobs, manifestType, {
    schemaVersion: 2,
    mediaType: manifestType,
    config,
    layers,
  });
  const annotations = { 'org.opencontainers.image.ref.name': image.reference };
  await writeFile(
    path.join(directory, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  );
  await writeFile(path.join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
}

async function digestOfFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function writeBlob(blobs: string, mediaType: string, value: object): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest = createHash('sha256').update(bytes).digest('hex');
  await writeFile(path.join(blobs, digest), bytes);
  return { mediaType, digest: `sha256:${digest}`, size: bytes.length };
}
