import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { subvolumeUuid, isSubvolume, setSubvolumeReadOnly } from '../../src/system/btrfs.ts';
import { registry } from '../support/registry.ts';
import { runCliAsNobody } from '../support/run-cli.ts';
import { tar, type EntrySpec } from '../support/tar-builder.ts';
import {
  codeOf,
  drivers,
  leftovers,
  storeFilesystem,
  TestStore,
  type StoreFilesystem,
} from '../support/test-store.ts';
import { umociUnpack } from '../support/umoci.ts';

const base = tar({ path: './', type: 'directory' }, { path: 'base', content: 'x'.repeat(100_000) });
const layer = (name: string): Buffer => tar({ path: name, content: name });

describe.each(drivers)('a store with the $driver driver', (driver) => {
  let filesystem: StoreFilesystem;
  beforeAll(async () => {
    filesystem = await storeFilesystem(driver);
  });
  afterAll(async () => filesystem[Symbol.asyncDispose]());

  const twoImages = (): Promise<TestStore> => twoImagesIn(filesystem);

  it('is root’s alone, whoever made its directory', async () => {
    const store = filesystem.store();
    mkdirSync(store.path, 0o755);
    await store.load(filesystem.layout({ name: 'one:1', layers: [base] }));
    expect(statSync(store.path).mode & 0o777).toBe(0o700);
  });

  it('keeps layers that images share once', async () => {
    const store = await twoImages();
    expect(store.layers()).toHaveLength(4);
    // Four layers, two configs, two manifests.
    expect(store.blobs()).toHaveLength(8);
    expect(await store.read('two:1', ['shared', 'one', 'two'])).toEqual(['shared', undefined, 'two']);
  });

  it('loading what is there changes nothing', async () => {
    const store = filesystem.store();
    const layout = filesystem.layout({ name: 'one:1', layers: [base, layer('one')] });
    await store.load(layout);
    const layers = store.layers().map((name) => statSync(path.join(store.path, 'layers', name)).ino);
    await store.load(layout);
    expect(store.layers().map((name) => statSync(path.join(store.path, 'layers', name)).ino)).toEqual(layers);
    expect(await store.images()).toHaveLength(1);
  });

  it('skopeo and umoci read its layout as it is', async () => {
    const store = await twoImages();
    const { stdout } = await execa('skopeo', ['inspect', `oci:${store.path}/oci:one:1`]);
    expect((JSON.parse(stdout) as { Layers: string[] }).Layers).toHaveLength(3);
    const unpacked = await umociUnpack(`${store.path}/oci:two:1`, filesystem.fresh('bundle'));
    expect(await store.compare('two:1', unpacked)).toEqual([]);
  });

  it('an image may have a layer twice, and none, and 127', async () => {
    const store = filesystem.store();
    const many = Array.from({ length: 126 }, (_, index) => layer(`file-${index}`));
    await store.load(
      filesystem.layout(
        { name: 'twice:1', layers: [base, layer('again'), tar({ path: '.wh.again' }), layer('again')] },
        { name: 'many:1', layers: [base, ...many] },
      ),
    );
    expect(await store.read('twice:1', ['again'])).toEqual(['again']);
    expect(await store.read('many:1', ['base', 'file-0', 'file-125'])).toEqual([
      'x'.repeat(100_000),
      'file-0',
      'file-125',
    ]);
    expect(await store.fsck()).toEqual([]);
  });

  it('layers are plain, gzip and zstd, and the same content is one layer', async () => {
    const store = filesystem.store();
    const content = layer('content');
    await store.load(
      filesystem.layout(
        { name: 'plain:1', layers: [base, content] },
        {
          name: 'gzip:1',
          layers: [
            { tar: base, compression: 'gzip' },
            { tar: content, compression: 'gzip' },
          ],
        },
        {
          name: 'zstd:1',
          layers: [
            { tar: base, compression: 'zstd' },
            { tar: content, compression: 'zstd' },
          ],
        },
      ),
    );
    expect(store.layers()).toHaveLength(2);
    expect(await store.fsck()).toEqual([]);
  });

  it('boot files name the layers, topmost first, and follow the index', async () => {
    const store = await twoImages();
    const file = path.join(store.path, 'boot/one%3A1');
    const image = store.store.image('one:1');
    expect(readFileSync(file, 'utf8')).toBe(
      [
        'version=1',
        'reference=one:1',
        `image=${image.id}`,
        `driver=${driver.driver}`,
        `chain=${image.layers.at(-1)!.chainId}`,
        ...image.layers.toReversed().map(({ chainId }) => `layer=${chainId.slice(7, 23)}`),
        '',
      ].join('\n'),
    );
    await store.cliOk('rmi', ['one:1']);
    expect(readdirSync(path.join(store.path, 'boot'))).toEqual(['two%3A1']);
  });

  it('a name that moves leaves its old image without one, until it is pruned', async () => {
    const store = await twoImages();
    await store.cliOk('tag', ['two:1', 'one:1']);
    expect(
      (await store.images()).map(({ repository, tag }) => `${String(repository)}:${String(tag)}`),
    ).toEqual(['one:1', 'two:1', 'null:null']);
    expect(JSON.parse(await store.cliOk('prune', ['--dry-run', '--json']))).toMatchObject({ layers: [] });
    expect(await store.images()).toHaveLength(3);
    expect(JSON.parse(await store.cliOk('prune', ['--force', '--json']))).toMatchObject({
      images: [expect.stringMatching(/^sha256:/)],
      layers: [expect.stringMatching(/^[0-9a-f]{16}$/)],
    });
    expect(store.layers()).toHaveLength(3);
    expect(await store.fsck()).toEqual([]);
  });

  it('an image goes with its last name, and takes along only what no other uses', async () => {
    const store = await twoImages();
    await store.cliOk('tag', ['one:1', 'alias']);
    expect(await store.cliOk('rmi', ['one:1'])).toBe('Untagged: one:1\n');
    expect(await store.cliOk('rmi', ['alias'])).toMatch(
      /^Untagged: alias:latest\nDeleted: sha256:[0-9a-f]{64}\n$/,
    );
    expect(store.layers()).toHaveLength(3);
    expect(store.blobs()).toHaveLength(5);
    await store.cliOk('rmi', ['two:1']);
    expect([store.layers(), store.blobs()]).toEqual([[], []]);
  });

  it('an image ID stands for all names of its image', async () => {
    const store = await twoImages();
    await store.cliOk('tag', ['one:1', 'alias']);
    const id = store.store.image('one:1').id.slice('sha256:'.length, 'sha256:'.length + 12);
    const refused = await store.cli('rmi', [id]);
    expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining('alias:latest, one:1')]);
    await store.cliOk('rmi', ['--force', id]);
    expect((await store.images()).map(({ repository }) => repository)).toEqual(['two']);
  });

  it('rmi of several removes all or none', async () => {
    const store = await twoImages();
    expect((await store.cli('rmi', ['one:1', 'missing:1', 'two:1'])).exitCode).toBe(1);
    expect(await store.images()).toHaveLength(2);
  });

  it('what is exported is what was loaded, and the same each time', async () => {
    const store = await twoImages();
    const [first, second] = [filesystem.fresh('a.tar'), filesystem.fresh('b:c.tar')];
    await store.cliOk('export', ['one:1', '-o', first]);
    const { stdout } = await execa(path.resolve('bin/imgboot'), ['export', '--store', store.path, 'one:1'], {
      encoding: 'buffer',
    });
    await store.cliOk('export', ['one:1', '-o', second]);
    expect(readFileSync(first).equals(readFileSync(second))).toBe(true);
    expect(readFileSync(first).equals(Buffer.from(stdout))).toBe(true);
    const again = filesystem.store();
    await again.cliOk('import', [first, 'again']);
    const root = filesystem.directory();
    await execa('tar', ['-xf', first, '-C', root]);
    expect(await again.compare('again', root)).toEqual([]);
  });

  it('a directory is imported with its ACLs, also those of users that this host knows by name', async () => {
    const source = filesystem.directory();
    writeFileSync(path.join(source, 'file'), 'x');
    await execa('setfacl', ['-m', 'u:daemon:rwx,g:daemon:r', path.join(source, 'file')]);
    await execa('setfattr', ['-n', 'user.note', '-v', 'kept', path.join(source, 'file')]);
    const store = filesystem.store();
    await store.cliOk('import', [source, 'dir:1']);
    expect(await store.compare('dir:1', source)).toEqual([]);
  });

  it('what is saved loads elsewhere as the same image, in both forms', async () => {
    const store = await twoImages();
    for (const format of ['docker-archive', 'oci-archive']) {
      const archive = filesystem.fresh(`with: colon ${format}.tar`);
      await store.cliOk('save', ['one:1', '-o', archive, '--format', format]);
      const other = filesystem.store();
      expect(await other.cliOk('load', ['-i', archive])).toContain('one:1');
      expect(other.layers().sort()).toEqual(
        store.store
          .image('one:1')
          .layers.map(({ name }) => name)
          .sort(),
      );
    }
  });

  it('loads from standard input, from a pipe, compressed, and from a layout', async () => {
    const store = await twoImages();
    const archive = filesystem.fresh('archive.tar');
    await store.cliOk('save', ['one:1', '-o', archive]);
    const other = filesystem.store();
    await other.cliOk('load', [], { inputFile: archive });
    await other.cliOk('rmi', ['one:1']);
    await execa('gzip', ['--keep', archive]);
    await other.cliOk('load', ['-i', `${archive}.gz`]);
    await other.cliOk('rmi', ['one:1']);
    await execa('sh', [
      '-c',
      'cat "$1" | bin/imgboot load --store "$2" -i /dev/stdin',
      'sh',
      archive,
      other.path,
    ]);
    expect(await other.images()).toHaveLength(1);
    expect(await other.fsck()).toEqual([]);
  });

  it('pushes to and pulls from a layout, a directory and an archive', async () => {
    const store = await twoImages();
    for (const place of ['oci:PLACE:name:1', 'dir:PLACE', 'oci-archive:PLACE:name:1']) {
      const there = place.replace('PLACE', filesystem.fresh('place'));
      await store.cliOk('push', ['one:1', there]);
      const other = filesystem.store();
      await other.cliOk('pull', [there, '--name', 'pulled:1']);
      expect(await other.read('pulled:1', ['one'])).toEqual(['one']);
    }
  });

  it('pushes to and pulls from a registry, by tag and by digest', async () => {
    await using server = await registry();
    const store = await twoImages();
    const name = `${server.address}/team/one`;
    await store.cliOk('push', ['one:1', `${name}:1`, '--no-tls-verify']);
    const other = filesystem.store();
    await other.cliOk('pull', [`${name}:1`, '--no-tls-verify']);
    expect(await other.read(`${name}:1`, ['one'])).toEqual(['one']);
    expect(other.layers().sort()).toEqual(
      store.store
        .image('one:1')
        .layers.map((layer) => layer.name)
        .sort(),
    );
    const { digest } = other.store.image(`${name}:1`).descriptor;
    await other.cliOk('pull', [`${name}@${digest}`, '--name', 'by:digest', '--no-tls-verify']);
    expect(other.store.image('by:digest').id).toBe(other.store.image(`${name}:1`).id);
    expect(await other.fsck()).toEqual([]);
    // A layer that is there is not fetched again, unless it is damaged.
    const large = {
      tar: tar({ path: 'large', content: randomBytes(200_000) }),
      compression: 'gzip' as const,
    };
    await store.load(filesystem.layout({ name: 'two:1', layers: [base, large, layer('more')] }));
    await store.cliOk('push', ['two:1', `${name}:large`, '--no-tls-verify']);
    await other.load(filesystem.layout({ name: 'part:1', layers: [base, large] }));
    const blob = path.join(
      other.path,
      'oci/blobs/sha256',
      other.store.image('part:1').layers[1]!.descriptor.digest.slice(7),
    );
    const before = statSync(blob).ino;
    await other.cliOk('pull', [`${name}:large`, '--no-tls-verify']);
    expect(statSync(blob).ino).toBe(before);
    writeFileSync(blob, readFileSync(blob).fill('z', 600, 601));
    expect(await other.fsck()).toHaveLength(1);
    await other.cliOk('pull', [`${name}:large`, '--no-tls-verify']);
    expect(await other.fsck()).toEqual([]);
    const missing = await other.cli('pull', [`${name}:2`, '--no-tls-verify']);
    expect([missing.exitCode, missing.stderr]).toEqual([1, expect.stringContaining('manifest unknown')]);
  });

  it('works at a path with spaces, colons, commas and newlines, and at a relative one', async () => {
    const layout = filesystem.layout({ name: 'one:1', layers: [base, layer('one')] });
    const odd = new TestStore(path.join(filesystem.mountPoint, 'a b:c,d\\e\nf\'$(reboot)"g=h'));
    await odd.cliOk('load', ['-i', layout]);
    await odd.cliOk('import', [filesystem.directory(), 'imported']);
    const archive = filesystem.fresh('archive.tar');
    await odd.cliOk('save', ['one:1', '-o', archive]);
    await odd.cliOk('rmi', ['one:1']);
    await odd.cliOk('load', ['-i', archive]);
    await odd.cliOk('export', ['one:1', '-o', filesystem.fresh('x.tar')]);
    expect(await odd.read('one:1', ['one'])).toEqual(['one']);
    await odd.cliOk('fsck');
    const cwd = filesystem.directory();
    const relative = new TestStore('./x/store');
    await relative.cliOk('load', ['-i', archive], { cwd });
    await relative.cliOk('import', ['.', 'imported'], { cwd: path.join(cwd, 'x') });
    await relative.cliOk('fsck', [], { cwd });
    expect(await new TestStore(path.join(cwd, 'x/store')).read('one:1', ['one'])).toEqual(['one']);
  });

  it('a layer made under another umask is the same', async () => {
    const layout = filesystem.layout({
      name: 'one:1',
      layers: [tar({ path: 'implied/deep/file', content: 'x', mode: 0o666 })],
    });
    const store = filesystem.store();
    const script = 'umask 077; exec bin/imgboot load --store "$1" -i "$2"';
    await execa('sh', ['-c', script, 'sh', store.path, layout]);
    const root = path.join(store.path, 'layers', store.layers()[0]!);
    expect(
      ['.', 'implied', 'implied/deep', 'implied/deep/file'].map((name) =>
        (statSync(path.join(root, name)).mode & 0o777).toString(8),
      ),
    ).toEqual(['755', '755', '755', '666']);
    expect(await store.fsck()).toEqual([]);
  });

  it('two different roots without an entry for the root itself have the same time', async () => {
    const store = filesystem.store();
    await store.load(filesystem.layout({ name: 'one:1', layers: [layer('one')] }));
    expect(statSync(path.join(store.path, 'layers', store.layers()[0]!)).mtimeMs).toBe(0);
    expect(await store.fsck()).toEqual([]);
  });

  it('readers of a store need no lock and no root, where they may read it', async () => {
    const store = await twoImages();
    await execa('chmod', ['a+rx', store.path, path.dirname(path.dirname(store.path))]);
    await execa('chmod', ['-R', 'a+rX', `${store.path}/store.json`, `${store.path}/oci`]);
    const { stdout } = await runCliAsNobody(['images', '--quiet', '--store', store.path]);
    expect(stdout.trimEnd().split('\n')).toHaveLength(2);
  });

  describe('fsck', () => {
    it.each<[string, (layerPath: string) => void, string]>([
      [
        'changed content',
        (at) => writeFileSync(path.join(at, 'base'), 'y'.repeat(100_000)),
        '"/base": content',
      ],
      ['a changed mode', (at) => chmodSync(path.join(at, 'base'), 0o600), '"/base": mode 600 / 644'],
      ['a file too many', (at) => writeFileSync(path.join(at, 'extra'), ''), '"/extra": only in the first'],
      ['a file too few', (at) => rmSync(path.join(at, 'base')), '"/base": only in the second'],
    ])('finds %s in a layer, and repairs it from its blob', async (_title, damage, message) => {
      const store = await twoImages();
      const { name } = store.store.image('one:1').layers[0]!;
      const at = path.join(store.path, 'layers', name);
      if (driver.driver === 'btrfs') setSubvolumeReadOnly(at, false);
      damage(at);
      const result = await store.cli('fsck');
      expect([result.exitCode, result.stdout]).toEqual([1, expect.stringContaining(message)]);
      expect((await store.cli('fsck', ['--repair'])).exitCode).toBe(0);
      expect(await store.fsck()).toEqual([]);
      expect((await store.read('two:1', ['base', 'two']))[1]).toBe('two');
    });

    it('finds a layer that is gone, and unpacks it again', async () => {
      const store = await twoImages();
      const { name } = store.store.image('one:1').layers[1]!;
      store.store.driver.remove(path.join(store.path, 'layers', name));
      expect(await store.fsck()).toEqual([
        expect.stringMatching(/^boot-file one%3A1/),
        expect.stringMatching(/^boot-file two%3A1/),
        expect.stringContaining('it is not unpacked'),
      ]);
      await store.cliOk('fsck', ['--repair']);
      expect(await store.fsck()).toEqual([]);
    });

    it('finds a damaged layer blob, which loading the image again mends', async () => {
      const store = filesystem.store();
      const layout = filesystem.layout({ name: 'one:1', layers: [base, layer('one')] });
      await store.load(layout);
      const { digest } = store.store.image('one:1').layers[1]!.descriptor;
      const blob = path.join(store.path, 'oci/blobs/sha256', digest.slice(7));
      writeFileSync(blob, readFileSync(blob).fill('z', 600, 601));
      expect(await store.fsck()).toEqual([
        `blob ${digest}: the blob does not match its digest; load or pull the image again`,
      ]);
      expect((await store.cli('fsck', ['--repair'])).exitCode).toBe(1);
      expect(existsSync(blob)).toBe(false);
      expect(await store.fsck()).toEqual([
        `blob ${digest}: the blob is missing; load or pull the image again`,
      ]);
      await store.load(layout);
      expect(await store.fsck()).toEqual([]);
    });

    it('finds the damaged blob of a layer that has another, too', async () => {
      const store = filesystem.store();
      await store.load(filesystem.layout({ name: 'plain:1', layers: [base] }));
      await store.load(filesystem.layout({ name: 'zipped:1', layers: [{ tar: base, compression: 'gzip' }] }));
      expect(await store.fsck()).toEqual([]);
      for (const name of ['plain:1', 'zipped:1']) {
        const { digest } = store.store.image(name).layers[0]!.descriptor;
        const blob = path.join(store.path, 'oci/blobs/sha256', digest.slice(7));
        const whole = readFileSync(blob);
        writeFileSync(blob, Buffer.from(whole).fill(whole.at(-1)! ^ 1, whole.length - 1));
        expect(await store.fsck()).toEqual([
          `blob ${digest}: the blob does not match its digest; load or pull the image again`,
        ]);
        writeFileSync(blob, whole);
      }
    });

    it('a damaged config keeps no other image from its work, and its image can be removed or loaded again', async () => {
      const store = filesystem.store();
      const layout = filesystem.layout(
        { name: 'bad:1', layers: [base, layer('bad')] },
        { name: 'good:1', layers: [base] },
      );
      await store.load(layout);
      const { id } = store.store.image('bad:1');
      const damage = (): void => writeFileSync(path.join(store.path, 'oci/blobs/sha256', id.slice(7)), '{}');
      damage();
      const listed = await store.cli('images', ['--json']);
      expect(JSON.parse(listed.stdout)).toMatchObject([{ repository: 'good' }]);
      expect(listed.stderr).toContain('bad:1: the blob sha256:');
      expect(readdirSync(path.join(store.path, 'boot'))).toContain('good%3A1');
      expect(await store.fsck()).toEqual([
        'boot-file bad%3A1: boot/bad%3A1 does not follow from the index',
        expect.stringMatching(/^image bad:1: the blob sha256:\w+ is damaged/),
      ]);
      expect(await codeOf(() => Promise.resolve(store.store.image('bad:1')))).toBe('IMGBOOT_DIGEST_MISMATCH');
      await store.load(layout);
      expect(await store.fsck()).toEqual([]);
      damage();
      await store.cliOk('rmi', ['bad:1']);
      expect(store.layers()).toHaveLength(1);
      expect(await store.fsck()).toEqual([]);
    });

    it('finds stale and missing boot files', async () => {
      const store = await twoImages();
      const boot = path.join(store.path, 'boot');
      rmSync(path.join(boot, 'one%3A1'));
      writeFileSync(path.join(boot, 'other%3A1'), 'x');
      expect(await store.fsck()).toEqual([
        'boot-file one%3A1: boot/one%3A1 does not follow from the index',
        'boot-file other%3A1: boot/other%3A1 does not follow from the index',
      ]);
      expect(await store.fsck()).toEqual([]);
    });

    it('finds blobs and layers that nothing refers to, and deletes what is ours', async () => {
      const store = await twoImages();
      writeFileSync(path.join(store.path, 'oci/blobs/sha256', '0'.repeat(64)), 'x');
      const problems = await store.fsck();
      expect(problems).toEqual([`garbage ${'0'.repeat(64)}: nothing refers to it`]);
    });
  });

  describe('several commands at once', () => {
    const image = (name: string, ...entries: EntrySpec[]) => ({
      name,
      layers: [base, layer('shared'), tar({ path: name, content: name }, ...entries)],
    });

    it('eight make the store and load the same image', async () => {
      const store = filesystem.store();
      const layout = filesystem.layout(image('same'));
      await Promise.all(Array.from({ length: 8 }, () => store.cliOk('load', ['-i', layout])));
      expect(await store.images()).toHaveLength(1);
      expect(store.layers()).toHaveLength(3);
      expect(await store.fsck()).toEqual([]);
      expect(await leftovers(store.path)).toEqual([]);
    });

    it('one that was killed while it looked at the file system is no obstacle', async () => {
      const store = filesystem.store();
      mkdirSync(path.join(store.path, '.imgboot-probe-Xy12ab'), { recursive: true });
      await store.load(filesystem.layout(image('same')));
      expect(await store.fsck()).toEqual([]);
    });

    it('six load different images while two prune and one lists', async () => {
      const store = filesystem.store();
      await store.load(filesystem.layout(image('first')));
      const names = ['a', 'b', 'c', 'd', 'e', 'f'];
      const layouts = names.map((name) => filesystem.layout(image(name)));
      await Promise.all([
        ...layouts.map((layout) => store.cliOk('load', ['-i', layout])),
        store.cliOk('prune', ['--force']),
        store.cliOk('prune', ['--force']),
        store.cliOk('images'),
      ]);
      expect((await store.images()).map(({ repository }) => repository)).toEqual([...names, 'first']);
      expect(store.layers()).toHaveLength(2 + 7);
      expect(await store.fsck()).toEqual([]);
      expect(await leftovers(store.path)).toEqual([]);
    });

    it('one removes an image while another loads it: it is there whole, or not at all', async () => {
      const store = filesystem.store();
      const layout = filesystem.layout(image('same'));
      await store.load(layout);
      await Promise.all([
        store.cliOk('load', ['-i', layout]),
        store.cli('rmi', ['same']),
        store.cliOk('tag', ['same', 'other']).catch(() => {}),
      ]);
      expect(await store.fsck()).toEqual([]);
    });
  });
});

describe('a store on btrfs', () => {
  let filesystem: StoreFilesystem;
  beforeAll(async () => {
    filesystem = await storeFilesystem(drivers[0]);
  });
  afterAll(async () => filesystem[Symbol.asyncDispose]());

  it('is a subvolume, and so are its layers, read-only', async () => {
    const store = await twoImagesIn(filesystem);
    expect(isSubvolume(store.path)).toBe(true);
    for (const name of store.layers()) {
      const at = path.join(store.path, 'layers', name);
      expect(isSubvolume(at)).toBe(true);
      expect(() => writeFileSync(path.join(at, 'new'), '')).toThrow('EROFS');
      expect(JSON.parse(readFileSync(`${at}.json`, 'utf8'))).toMatchObject({ uuid: subvolumeUuid(at) });
    }
  });

  it('never deletes a subvolume that is not its own', async () => {
    const store = await twoImagesIn(filesystem);
    const foreign = path.join(store.path, 'layers', 'f'.repeat(16));
    await execa('btrfs', ['subvolume', 'create', foreign]);
    await store.cliOk('rmi', ['one:1', 'two:1']);
    await store.cliOk('prune', ['--force']);
    expect(store.layers()).toEqual(['f'.repeat(16)]);
  });
});

/** A store with `one:1` and `two:1`, which share their two lower layers. */
async function twoImagesIn(filesystem: StoreFilesystem): Promise<TestStore> {
  const store = filesystem.store();
  await store.load(
    filesystem.layout(
      { name: 'one:1', layers: [base, layer('shared'), layer('one')] },
      { name: 'two:1', layers: [base, layer('shared'), layer('two')] },
    ),
  );
  return store;
}
