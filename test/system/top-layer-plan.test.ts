import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { examineOnImage, examineOnRoot, type Examined } from '../../src/top-layer/examine-image.ts';
import { showName } from '../../src/top-layer/show.ts';
import { drivers, storeFilesystem, type StoreFilesystem, type TestStore } from '../support/test-store.ts';
import { applyByHook } from '../support/apply-top-layer.ts';
import { trixieTar } from '../support/fixtures.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { topLayerAtRoot, topLayerCases } from '../support/top-layer-cases.ts';

// What is said before a boot is what the boot does: the boot's own shell is the oracle.

describe.each(drivers)('a top layer on an image by $driver', (driver) => {
  let filesystem: StoreFilesystem;
  let store: TestStore;
  let top: string;
  let examined: Examined;

  beforeAll(async () => {
    filesystem = await storeFilesystem(driver);
    store = filesystem.store();
    const image = filesystem.directory('image');
    top = filesystem.directory('top');
    await Promise.all([makeTree(image, 'image'), makeTree(top, 'top')]);
    const tar = await execa(
      'tar',
      ['--create', '--format=posix', '--numeric-owner', '--xattrs', '--xattrs-include=*', '-C', image, '.'],
      { encoding: 'buffer', maxBuffer: 2 ** 28 },
    );
    // Two layers, so that an overlay has something to merge.
    const more = await execa('tar', ['--create', '--files-from=/dev/null'], { encoding: 'buffer' });
    await store.load(
      filesystem.layout({ name: 'cases', layers: [Buffer.from(tar.stdout), Buffer.from(more.stdout)] }),
    );
    examined = await examineOnImage(store.store, {
      image: store.store.image('cases'),
      place: { kind: 'directory', path: top },
      measure: true,
    });
  });
  afterAll(async () => filesystem[Symbol.asyncDispose]());

  it.each(topLayerCases.map((one, index) => ({ ...one, name: nameOf(index) })))(
    '$title',
    ({ name, effects, findings }) => {
      expect(effectsBelow(examined, `/${name}/`)).toEqual(effects);
      const found = examined.findings
        .filter(({ path }) => path.startsWith(`/${name}/`))
        .map(({ level, code, path }) => `${level} ${code} ${path.slice(name.length + 2)}`);
      expect(found.sort()).toEqual((findings ?? []).toSorted());
    },
  );

  it("has the account files merged, and not the image's link followed", () => {
    expect(effectsBelow(examined, '/').filter((line) => /^[a-z]+ etc\b/.test(line))).toEqual(
      topLayerAtRoot.effects,
    );
  });

  it('comes to what is said of it', async () => {
    const image = store.store.image('cases');
    const chain = image.layers.map((layer) => layer.name).toReversed();
    const applied = await applyByHook({
      driver: driver.driver,
      layers: store.store.paths.layers,
      chain,
      top,
    });
    expect({ digest: applied.digest, files: applied.files }).toEqual(examined.measure);
    const said = examined.effects.flatMap(({ action, place }) =>
      ['same', 'skip'].includes(action)
        ? []
        : `${action === 'merge' ? 'replace' : action} ${showName(place)}`,
    );
    expect(said.length).toBeGreaterThan(60);
    expect(applied.changes).toEqual(said);
  });
});

it("has the digest that the boot of an image reports, by the image's own tar", async () => {
  await using work = await TemporaryDirectory.create();
  const [image, top] = [path.join(work.path, 'image'), path.join(work.path, 'top')];
  const long = 'x'.repeat(150);
  const script = `mkdir image top top/d; tar -xf "$1" -C image ./bin ./lib ./lib64 ./usr/bin/tar ./usr/lib/x86_64-linux-gnu \
      ./usr/lib64; cd top; echo f > f; ln f d/hard; ln -s f link; mkfifo pipe; mknod null c 1 3; touch ${long}
    setfattr -n user.a -v b f; setfacl -m u:0:r,u:12345:rwx f; setfacl -d -m g:0:r d; head -c 100000 /dev/zero > d/zeros`;
  await execa('sh', ['-euc', script, 'sh', await trixieTar()], { cwd: work.path });
  const place = { kind: 'directory', path: top } as const;
  const { measure } = await examineOnRoot({ root: image, place, measure: true });
  // Debian 13 has GNU tar 1.35, which writes other bytes than the 1.34 of Debian 12.
  const byTheImage = `cd "$2"; find . -mindepth 1 -print0 | LC_ALL=C sort -z |
    "$1"/lib64/ld-linux-x86-64.so.2 --library-path "$1/usr/lib/x86_64-linux-gnu" "$1/usr/bin/tar" --create --format=posix \
    --pax-option='exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime' --numeric-owner \
    --xattrs --xattrs-include='*' --acls --no-recursion --null --files-from=- | sha256sum | cut -d ' ' -f 1`;
  const { stdout } = await execa('sh', ['-euc', byTheImage, 'sh', image, top]);
  expect(measure).toEqual({ digest: `sha256:${stdout}`, files: 7 });
});

/** `ACTION PATH (WHAT)`, by path. */
function effectsBelow({ effects }: Examined, directory: string): string[] {
  return effects.flatMap(({ action, place, what }) => {
    const shown = showName(place);
    const more = what.length === 0 ? '' : ` (${what.map(showName).join(', ')})`;
    return shown.startsWith(directory) ? `${action} ${shown.slice(directory.length)}${more}` : [];
  });
}

function nameOf(index: number): string {
  return `c${String(index + 1).padStart(2, '0')}`;
}

async function makeTree(root: string, part: 'image' | 'top'): Promise<void> {
  const script = topLayerCases.map((one, index) => {
    const name = nameOf(index);
    return `mkdir ${name}; (cd ${name}; c=${name}; ${one[part]}\n)`;
  });
  // What has no time of its own differs in it.
  const times = `find . -newermt @1000000000 -exec touch -h -d @${part === 'image' ? 1000 : 2000} {} +`;
  await execa('bash', ['-euc', ['umask 022', topLayerAtRoot[part], ...script, times].join('\n')], {
    cwd: root,
  });
}
