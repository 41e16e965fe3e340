import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { examineOnImage, type Examined } from '../../src/top-layer/examine-image.ts';
import { showName } from '../../src/top-layer/show.ts';
import { drivers, storeFilesystem, type StoreFilesystem, type TestStore } from '../support/test-store.ts';
import { applyByHook } from '../support/apply-top-layer.ts';
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
