import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importRootfs } from '../../src/store/import.ts';
import { listing } from '../support/listing.ts';
import type { ImageSpec } from '../support/handmade-image.ts';
import { base256, endOfArchive, tar, tarWithoutEnd, type EntrySpec } from '../support/tar-builder.ts';
import {
  codeOf,
  drivers,
  expectUntouched,
  storeFilesystem,
  type StoreFilesystem,
  type TestStore,
} from '../support/test-store.ts';

/** A layer whose entries stay inside, and what it leaves there: path, and content or symlink target. */
interface Contained {
  layers: (EntrySpec | Buffer)[][];
  inside: Record<string, string | undefined>;
}

const secret = { path: 'secret', content: 'of the image' };

/** Names that mean something outside lie inside; `GUARD` is a directory beside the store. */
const contained: Record<string, Contained> = {
  'an absolute name': {
    layers: [[{ path: 'GUARD/canary', content: 'new' }]],
    inside: { 'GUARD/canary': 'new' },
  },
  'a name that climbs': {
    layers: [[{ path: '../../../../../../../../GUARD/canary', content: 'new' }]],
    inside: { 'GUARD/canary': 'new' },
  },
  'a name that climbs from the middle': {
    layers: [[{ path: 'a/b/../../../../../../../GUARD/canary', content: 'new' }]],
    inside: { 'GUARD/canary': 'new' },
  },
  'a file below an absolute symlink of the same layer': {
    layers: [
      [
        { path: 'GUARD', type: 'directory' },
        { path: 'link', type: 'symlink', link: 'GUARD' },
        { path: 'link/canary', content: 'new' },
      ],
    ],
    inside: { 'GUARD/canary': 'new' },
  },
  'a file below an absolute symlink of a lower layer': {
    layers: [
      [
        { path: 'GUARD', type: 'directory' },
        { path: 'link', type: 'symlink', link: 'GUARD' },
      ],
      [{ path: 'link/canary', content: 'new' }],
    ],
    inside: { 'GUARD/canary': 'new' },
  },
  'a file below an absolute symlink to where the image has nothing': {
    layers: [[{ path: 'link', type: 'symlink', link: 'GUARD' }], [{ path: 'link/canary', content: 'new' }]],
    inside: { 'GUARD/canary': 'new' },
  },
  'a file below a symlink that climbs': {
    layers: [
      [
        { path: 'GUARD', type: 'directory' },
        { path: 'link', type: 'symlink', link: '../../../../../../../../GUARD' },
      ],
      [{ path: 'link/canary', content: 'new' }],
    ],
    inside: { 'GUARD/canary': 'new' },
  },
  'a whiteout through a symlink': {
    layers: [
      [
        { path: 'GUARD/canary', content: 'of the image' },
        { path: 'link', type: 'symlink', link: 'GUARD' },
      ],
      [{ path: 'link/.wh.canary' }],
    ],
    inside: { 'GUARD/canary': undefined },
  },
  'an opaque mark through a symlink': {
    layers: [
      [
        { path: 'GUARD/canary', content: 'of the image' },
        { path: 'link', type: 'symlink', link: 'GUARD' },
      ],
      [{ path: 'link/.wh..wh..opq' }],
    ],
    inside: { 'GUARD/canary': undefined },
  },
  'a whiteout through a symlink to where the image has nothing': {
    layers: [[{ path: 'link', type: 'symlink', link: 'GUARD' }], [{ path: 'link/.wh.canary' }]],
    inside: { link: '-> GUARD' },
  },
  'a whiteout that climbs': {
    layers: [[{ path: '../../../../../../GUARD/.wh.canary' }]],
    inside: {},
  },
  'a hard link to an absolute name': {
    layers: [
      [{ path: 'GUARD/canary', content: 'of the image' }],
      [{ path: 'stolen', type: 'hardlink', link: 'GUARD/canary' }],
    ],
    inside: { stolen: 'of the image' },
  },
  'a hard link through a symlink': {
    layers: [
      [
        { path: 'GUARD/canary', content: 'of the image' },
        { path: 'link', type: 'symlink', link: 'GUARD' },
      ],
      [{ path: 'stolen', type: 'hardlink', link: 'link/canary' }],
    ],
    inside: { stolen: 'of the image' },
  },
  'a hard link to a symlink, which then gets content': {
    layers: [
      [
        { path: 'link', type: 'symlink', link: 'GUARD/canary' },
        { path: 'again', type: 'hardlink', link: 'link' },
        { path: 'again', content: 'new' },
      ],
    ],
    inside: { link: '-> GUARD/canary', again: 'new' },
  },
  'a file over a symlink': {
    layers: [
      [{ path: 'link', type: 'symlink', link: 'GUARD/canary' }],
      [{ path: 'link', content: 'new', mode: 0o777, uid: 9 }],
    ],
    inside: { link: 'new' },
  },
  'a directory over a symlink': {
    layers: [
      [{ path: 'link', type: 'symlink', link: 'GUARD' }],
      [
        { path: 'link', type: 'directory', mode: 0o777, uid: 9 },
        { path: 'link/canary', content: 'new' },
      ],
    ],
    inside: { 'link/canary': 'new' },
  },
  'a directory that becomes a symlink within a layer, and back': {
    layers: [
      [
        { path: 'd', type: 'directory' },
        { path: 'd/a', content: 'gone' },
        { path: 'd', type: 'symlink', link: 'GUARD' },
        { path: 'GUARD', type: 'directory' },
        { path: 'd/canary', content: 'new' },
        { path: 'd', type: 'directory' },
        { path: 'd/b', content: 'b' },
      ],
    ],
    inside: { 'GUARD/canary': 'new', 'd/b': 'b', 'd/a': undefined },
  },
  'overlayfs marks as extended attributes': {
    layers: [
      [{ path: 'd/lower', content: 'kept' }, secret],
      [
        {
          path: 'd',
          type: 'directory',
          xattrs: {
            'trusted.overlay.opaque': 'y',
            'trusted.overlay.redirect': '/GUARD',
            'user.overlay.opaque': 'y',
          },
        },
        {
          path: 'meta',
          content: '',
          xattrs: { 'trusted.overlay.metacopy': '', 'trusted.overlay.redirect': '/secret' },
        },
      ],
    ],
    inside: { 'd/lower': 'kept', meta: '' },
  },
  'a hard link to a setuid file': {
    layers: [
      [{ path: 'su', content: 'su', mode: 0o4755 }],
      [{ path: 'mine', type: 'hardlink', link: 'su', mode: 0o777, uid: 1000 }],
    ],
    inside: { mine: 'su' },
  },
  'files named like aufs’s own': {
    layers: [[{ path: '.wh..wh.plnk', type: 'directory' }, { path: '.wh..wh.aufs' }, secret]],
    inside: { '.wh..wh.aufs': undefined, secret: 'of the image' },
  },
  'whiteouts in place of the root and of the layer’s own parents': {
    layers: [
      [{ path: 'a/b/c', content: 'lower' }],
      [{ path: 'a/b/d', content: 'upper' }, { path: '.wh.a' }, { path: '.wh..wh..opq' }],
    ],
    inside: { 'a/b/c': undefined, 'a/b/d': 'upper' },
  },
};

/** Layers that are refused, and with what. */
const refused: Record<string, { code: string; layers: (EntrySpec | Buffer)[][] }> = {
  'a hard link to a file that the image does not have': {
    code: 'IMGBOOT_BAD_LAYER',
    layers: [[{ path: 'stolen', type: 'hardlink', link: 'GUARD/canary' }]],
  },
  'a hard link through a symlink to outside': {
    code: 'IMGBOOT_BAD_LAYER',
    layers: [
      [
        { path: 'link', type: 'symlink', link: 'GUARD' },
        { path: 'stolen', type: 'hardlink', link: 'link/canary' },
      ],
    ],
  },
  'a hard link to the root': {
    code: 'IMGBOOT_BAD_LAYER',
    layers: [[{ path: 'root', type: 'hardlink', link: '../..' }]],
  },
  'a file below a symlink that leads back to itself through nothing': {
    code: 'IMGBOOT_BAD_LAYER',
    layers: [
      [
        { path: 'link', type: 'symlink', link: 'nowhere/../link' },
        { path: 'link/file', content: 'x' },
      ],
    ],
  },
  'a file below a file': {
    code: 'IMGBOOT_BAD_LAYER',
    layers: [
      [
        { path: 'file', content: 'x' },
        { path: 'file/below', content: 'x' },
      ],
    ],
  },
  'a file below a symlink loop': {
    code: 'IMGBOOT_BAD_LAYER',
    layers: [
      [
        { path: 'loop', type: 'symlink', link: 'loop' },
        { path: 'loop/below', content: 'x' },
      ],
    ],
  },
  'a whiteout of ..': { code: 'IMGBOOT_BAD_LAYER', layers: [[{ path: 'd/.wh...' }]] },
  'a whiteout of .': { code: 'IMGBOOT_BAD_LAYER', layers: [[{ path: 'd/.wh..' }]] },
  'a whiteout of nothing': { code: 'IMGBOOT_BAD_LAYER', layers: [[{ path: 'd/.wh.' }]] },
  'a character device 0:0': {
    code: 'IMGBOOT_BAD_LAYER',
    layers: [[{ path: 'dev/zero', type: 'character', device: { major: 0, minor: 0 } }]],
  },
  'a device number that does not fit': {
    code: 'IMGBOOT_UNPACK_FAILED',
    layers: [[{ path: 'dev/x', type: 'character', device: { major: 4096, minor: 0 } }]],
  },
  'an owner that chown(2) takes for none': {
    code: 'IMGBOOT_BAD_TAR',
    layers: [[{ path: 'x', patch: { 108: base256(4_294_967_295n, 8) } }]],
  },
  'a name with a zero byte': {
    code: 'IMGBOOT_BAD_TAR',
    layers: [[{ path: 'x', pax: { path: 'shadow\0.txt' } }]],
  },
  'an extended attribute with a zero byte in its name': {
    code: 'IMGBOOT_BAD_TAR',
    layers: [[{ path: 'x', pax: { 'SCHILY.xattr.security.selinux\0x': 'system_u' } }]],
  },
  'a pax header of negative size': {
    code: 'IMGBOOT_BAD_TAR',
    layers: [[{ path: 'x', flag: 'x', patch: { 124: base256(-512n, 12) } }, secret]],
  },
};
describe.each(drivers)('a hostile image with the $driver driver', (driver) => {
  let filesystem: StoreFilesystem;
  let store: TestStore;
  let guard: string;
  beforeAll(async () => {
    filesystem = await storeFilesystem(driver);
    guard = filesystem.directory('guard');
    writeFileSync(path.join(guard, 'canary'), 'alive');
    mkdirSync(path.join(guard, 'below'));
    writeFileSync(path.join(guard, 'below/file'), 'untouched');
    symlinkSync('canary', path.join(guard, 'link'));
    store = filesystem.store();
    await store.load(filesystem.layout({ name: 'good:1', layers: [tar(secret)] }));
  });
  afterAll(async () => filesystem[Symbol.asyncDispose]());

  /** The case with the guard's own path, seen from outside, in its names. */
  function image(layers: (EntrySpec | Buffer)[][], name: string): ImageSpec {
    const at = (text: string | undefined): string | undefined => text?.replaceAll('GUARD', guard);
    return {
      name,
      layers: layers.map((entries) =>
        tar(
          ...entries.map((entry) =>
            Buffer.isBuffer(entry)
              ? entry
              : {
                  ...entry,
                  path: at(entry.path)!,
                  ...(entry.link === undefined ? {} : { link: at(entry.link)! }),
                },
          ),
        ),
      ),
    };
  }

  describe('that stays inside its root', () => {
    it.each(Object.entries(contained))('%s', async (_title, { layers, inside }) => {
      const before = await listing(guard);
      await store.load(filesystem.layout(image(layers, 'inside:1')));
      expect(await listing(guard)).toEqual(before);
      const found = await store.read(
        'inside:1',
        Object.keys(inside).map((name) => name.replaceAll('GUARD', guard)),
      );
      expect(found).toEqual(Object.values(inside).map((value) => value?.replaceAll('GUARD', guard)));
    });
  });

  describe('that is refused leaves the store and everything else as it was', () => {
    it.each(Object.entries(refused))('%s', async (_title, { code, layers }) => {
      const before = await listing(guard);
      const layout = filesystem.layout(image(layers, 'refused:1'));
      expect(await expectUntouched(store, () => codeOf(() => store.load(layout)))).toBe(code);
      expect(await listing(guard)).toEqual(before);
    });

    it.each<[string, string, Omit<ImageSpec, 'name'>]>([
      [
        'a layer that is not what the config says',
        'IMGBOOT_DIGEST_MISMATCH',
        { layers: [{ tar: tar(secret), diffId: `sha256:${'0'.repeat(64)}` }] },
      ],
      [
        'a compressed layer that is not what the config says',
        'IMGBOOT_DIGEST_MISMATCH',
        { layers: [tar(), { tar: tar(secret), compression: 'gzip', blob: gzipSync(tar()) }] },
      ],
      [
        'a layer of unknown compression',
        'IMGBOOT_UNKNOWN_COMPRESSION',
        {
          layers: [{ tar: tar(secret), blob: Buffer.from('fd377a585a000004e6d6b446', 'hex') }],
        },
      ],
      [
        'a layer cut off within its compression',
        'IMGBOOT_BAD_LAYER',
        {
          layers: [
            {
              tar: tar(secret),
              compression: 'gzip',
              blob: gzipSync(tar({ path: 'big', content: Buffer.alloc(1 << 20, 'x') })).subarray(0, 900),
            },
          ],
        },
      ],
      [
        'a layer cut off within an entry',
        'IMGBOOT_BAD_TAR',
        { layers: [tar({ path: 'big', content: Buffer.alloc(4096) }).subarray(0, 2048)] },
      ],
      ['a layer that is no tar', 'IMGBOOT_BAD_TAR', { layers: [Buffer.alloc(4096, 'this is no tar. ')] }],
      [
        'more layers than the config has',
        'IMGBOOT_BAD_MANIFEST',
        {
          layers: [tar(secret), tar()],
          config: (config) => (config['rootfs'] as { diff_ids: string[] }).diff_ids.pop(),
        },
      ],
      [
        'fewer layers than the config has',
        'IMGBOOT_BAD_MANIFEST',
        {
          layers: [tar(secret)],
          config: (config) =>
            (config['rootfs'] as { diff_ids: string[] }).diff_ids.push(`sha256:${'1'.repeat(64)}`),
        },
      ],
      [
        'a config without layers',
        'IMGBOOT_BAD_MANIFEST',
        { layers: [tar(secret)], config: (config) => delete config['rootfs'] },
      ],
      [
        'a config whose history is no list',
        'IMGBOOT_BAD_MANIFEST',
        { layers: [tar(secret)], config: (config) => (config['history'] = 'x') },
      ],
      [
        'a DiffID that is a path',
        'IMGBOOT_BAD_DIGEST',
        { layers: [{ tar: tar(secret), diffId: '../../../../etc' }] },
      ],
    ])('%s', async (_title, code, spec) => {
      const layout = filesystem.layout({ name: 'refused:1', ...spec });
      expect(await expectUntouched(store, () => codeOf(() => store.load(layout)))).toBe(code);
    });

    it('a blob that does not match its digest', async () => {
      const layout = filesystem.layout({ name: 'refused:1', layers: [tar(secret)] });
      const { manifests } = JSON.parse(readFileSync(path.join(layout, 'index.json'), 'utf8')) as {
        manifests: { digest: string }[];
      };
      const at = (digest: string): string =>
        path.join(layout, 'blobs/sha256', digest.slice('sha256:'.length));
      const manifest = JSON.parse(readFileSync(at(manifests[0]!.digest), 'utf8')) as {
        layers: { digest: string }[];
      };
      writeFileSync(at(manifest.layers[0]!.digest), tar({ ...secret, content: 'of another' }));
      expect(await expectUntouched(store, () => codeOf(() => store.load(layout)))).toBe(
        'IMGBOOT_COPY_FAILED',
      );
      writeFileSync(at(manifests[0]!.digest), 'this is no JSON');
      expect(await expectUntouched(store, () => codeOf(() => store.load(layout)))).toBe(
        'IMGBOOT_COPY_FAILED',
      );
    });

    it('and the store is whole', async () => {
      expect(await store.fsck()).toEqual([]);
    });
  });

  it('a layer of 400 MB in 2 MB of gzip costs little memory and, being zeros, little disk', async () => {
    const zeros = Buffer.alloc(400 << 20);
    const bomb = gzipSync(tarWithoutEnd({ path: 'zeros', content: zeros }), { level: 1 });
    const file = filesystem.fresh('bomb.tar.gz');
    writeFileSync(file, Buffer.concat([bomb, gzipSync(endOfArchive)]));
    const result = await store.cli('import', [file, 'bomb:1'], { measure: true });
    expect(result.exitCode).toBe(0);
    expect(result.peakMemoryBytes).toBeLessThan(200 * 1e6);
    const { size, blocks } = await store.usage('bomb:1', 'zeros');
    expect(size).toBe(400 << 20);
    expect(blocks).toBeLessThan(size / 100);
  });

  it('an image’s words cannot command the terminal', async () => {
    const words = 'RUN echo \x1b]0;owned\x07 \x9b31m\nFAKE LINE';
    await store.load(
      filesystem.layout({
        name: 'words:1',
        layers: [tar(secret)],
        config: (config) => {
          config['history'] = [{ created_by: words, created: '\x1b[2J' }];
        },
      }),
    );
    const shown = await store.cliOk('history', ['words:1']);
    expect(shown).toContain('RUN echo  ]0;owned   31m FAKE LINE');
    expect(shown.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    expect(JSON.parse(await store.cliOk('history', ['words:1', '--json']))).toMatchObject([
      { createdBy: words },
    ]);
  });

  it('importing a directory does not follow what its symlinks name', async () => {
    const source = filesystem.directory('source');
    symlinkSync(path.join(guard, 'canary'), path.join(source, 'link'));
    await importRootfs(store.store, {
      source: { kind: 'directory', path: source },
      reference: 'dir:1',
      createdBy: 'test',
    });
    expect(await store.read('dir:1', ['link'])).toEqual([`-> ${path.join(guard, 'canary')}`]);
  });
});
