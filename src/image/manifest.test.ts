import { describe, expect, it } from 'vitest';
import { parseConfig, parseIndex, parseManifest } from './manifest.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const descriptor = { mediaType: 'x', digest, size: 1 };

function bytes(value: unknown): Buffer {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
}

describe('a manifest', () => {
  it('with a config and layers is taken as it is', () => {
    const manifest = { schemaVersion: 2, config: descriptor, layers: [descriptor] };
    expect(parseManifest(bytes(manifest), 'm')).toEqual(manifest);
  });

  it.each([
    ['is no JSON', 'not json'],
    ['is no object', '[]'],
    ['is null', 'null'],
    ['has no config', { layers: [] }],
    ['has no layers', { config: descriptor }],
    ['has a layer that is null', { config: descriptor, layers: [null] }],
    ['has a layer of negative size', { config: descriptor, layers: [{ ...descriptor, size: -1 }] }],
    ['has a layer of unsafe size', { config: descriptor, layers: [{ ...descriptor, size: 2 ** 60 }] }],
  ])('that %s is refused', (_why, value) => {
    expect(() => parseManifest(bytes(value), 'm')).toThrow(
      expect.objectContaining({ code: 'IMGBOOT_BAD_MANIFEST' }),
    );
  });

  it.each(['../../etc/passwd', 'sha512:aa', `sha256:${'A'.repeat(64)}`, `${digest}\n`, 7, null])(
    'with the digest %j is refused',
    (wrong) => {
      const value = { config: descriptor, layers: [{ ...descriptor, digest: wrong }] };
      expect(() => parseManifest(bytes(value), 'm')).toThrow(
        expect.objectContaining({ code: 'IMGBOOT_BAD_DIGEST' }),
      );
    },
  );
});

describe('a config', () => {
  const config = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [digest] } };

  it('as Go writes it, with null for an empty list, is taken', () => {
    expect(parseConfig(bytes({ ...config, history: null }), 'c').rootfs.diff_ids).toEqual([digest]);
  });

  it.each([
    ['has no rootfs', { architecture: 'amd64' }],
    ['has DiffIDs that are no list', { ...config, rootfs: { diff_ids: digest } }],
    ['has a history that is no list', { ...config, history: {} }],
    ['has a step that is no object', { ...config, history: ['x'] }],
    ['has a time that is no text', { ...config, created: 7 }],
  ])('that %s is refused', (_why, value) => {
    expect(() => parseConfig(bytes(value), 'c')).toThrow(
      expect.objectContaining({ code: 'IMGBOOT_BAD_MANIFEST' }),
    );
  });
});

describe('an index', () => {
  it('without manifests is refused', () => {
    expect(() => parseIndex(bytes({}), 'i')).toThrow(
      expect.objectContaining({ code: 'IMGBOOT_BAD_MANIFEST' }),
    );
  });
});
