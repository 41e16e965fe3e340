import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TreeDifference } from '../../src/layer/compare-trees.ts';
import { runIsolated } from '../../src/system/isolate.ts';
import { buildCases, type BuildCase } from '../support/build-cases.ts';
import { makeBaseTar, makeContext } from '../support/build-fixtures.ts';
import { Buildah, type DockerConfig } from '../support/buildah.ts';
import { build } from '../support/run-build.ts';
import { drivers, storeFilesystem, type StoreFilesystem, type TestStore } from '../support/test-store.ts';

/** Everything is built with the first driver, and every third with the other, too. */
const [first, second] = drivers;

let filesystems: StoreFilesystem[];
let stores: TestStore[];
let buildah: Buildah;
let directory: string;
let server: Server;

beforeAll(async () => {
  filesystems = [await storeFilesystem(first), await storeFilesystem(second)];
  directory = filesystems[1]!.directory();
  const base = await makeBaseTar(directory);
  await makeContext(directory);
  writeFileSync(path.join(directory, 'secret'), 'a secret\n');
  buildah = new Buildah(directory);
  stores = filesystems.map((filesystem) => filesystem.store());
  for (const store of stores)
    await store.cliOk('import', [base, 'base:1'], { env: { SOURCE_DATE_EPOCH: '1700000000' } });
  await buildah.take(path.join(stores[1]!.path, 'oci'), 'base:1');
  server = createServer((request, response) => {
    const name = request.url === '/file' ? 'b.txt' : 'archive.tar';
    response.setHeader('Last-Modified', 'Tue, 14 Nov 2023 22:13:20 GMT');
    createReadStream(path.join(directory, 'context', name)).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterAll(async () => {
  server.close();
  for (const filesystem of filesystems) await filesystem[Symbol.asyncDispose]();
});

describe('a Dockerfile gives what buildah makes of it', () => {
  const names = Object.keys(buildCases);

  it.each(names)('%s', { timeout: 60_000 }, async (name) => {
    const number = names.indexOf(name);
    const image = `case-${number}`;
    const one = buildCases[name]!;
    const context = await contextOf(one);
    if (one.parent !== undefined) {
      const file = write(`${image}.parent`, one.parent);
      await buildah.build({ name: 'parent', dockerfile: file, context });
    }
    const peer = await buildah.build({
      name: image,
      dockerfile: write(`${image}.peer`, one.peer ?? one.dockerfile),
      context,
      args: peerFlags(one),
    });
    for (const store of number % 3 === 0 ? stores : stores.slice(0, 1)) {
      if (one.parent !== undefined)
        await build(store, {
          context,
          file: write(`${image}.parent`, one.parent),
          references: ['parent'],
        });
      await build(store, {
        context,
        file: write(`${image}.own`, one.dockerfile),
        references: [image],
        buildArgs: one.buildArgs ?? {},
        labels: one.labels ?? {},
        target: one.target,
        secrets: one.secret === undefined ? [] : [{ id: one.secret, path: path.join(directory, 'secret') }],
        squash: one.squash ?? false,
      });
      expect(surprises(await differences(store, image, peer.root), one)).toEqual([]);
      const own = store.store.image(image).config as DockerConfig;
      expect(settings(own, one)).toEqual(settings(peer.config, one));
    }
  });

  it('and what lies in the stores is what the layers make', { timeout: 120_000 }, async () => {
    for (const store of stores) expect(await store.fsck()).toEqual([]);
  });

  it('covers 60 Dockerfiles and more', () => {
    expect(names.length).toBeGreaterThanOrEqual(60);
  });
});

async function contextOf({ ignore }: BuildCase): Promise<string> {
  const context = path.join(directory, 'context');
  writeFileSync(path.join(context, '.dockerignore'), ignore ?? '.dockerignore\n');
  return Promise.resolve(context);
}

/** Writes a Dockerfile, with what is known only now in it. @returns its path */
function write(name: string, text: string): string {
  const file = path.join(directory, name);
  const content = readFileSync(path.join(directory, 'context/b.txt'));
  const { port } = server.address() as AddressInfo;
  const whole = `${text}\n`
    .replaceAll('URL', `http://127.0.0.1:${port}`)
    .replaceAll('SHA256', `sha256:${createHash('sha256').update(content).digest('hex')}`);
  if (!existsSync(file) || readFileSync(file, 'utf8') !== whole) writeFileSync(file, whole);
  return file;
}

function peerFlags({ buildArgs = {}, labels = {}, target, secret }: BuildCase): string[] {
  const pairs = (flag: string, values: Record<string, string>): string[] =>
    Object.entries(values).flatMap(([name, value]) => [flag, `${name}=${value}`]);
  return [
    ...pairs('--build-arg', buildArgs),
    ...pairs('--label', labels),
    ...(target === undefined ? [] : ['--target', target]),
    ...(secret === undefined ? [] : ['--secret', `id=${secret},src=${path.join(directory, 'secret')}`]),
  ];
}

/** The paths at which the root file systems differ, each once. */
async function differences(store: TestStore, image: string, other: string): Promise<string[]> {
  const { driver, paths } = store.store;
  const chain = store.store
    .image(image)
    .layers.map((layer) => layer.name)
    .toReversed();
  const mountPoint = filesystems[1]!.directory('view');
  const view = { driver: driver.name, layers: paths.layers, chain, mountPoint };
  const found = await runIsolated<object, TreeDifference[]>(
    new URL('../support/compare-build.job.ts', import.meta.url),
    { view, other },
  );
  return found.map((one) => `${one.path}: ${one.what}`);
}

/** Differences that nobody has explained, and explanations of what does not differ. */
function surprises(found: readonly string[], { differs = {} }: BuildCase): string[] {
  const explained = Object.keys(differs).filter((key) => key.startsWith('/'));
  return [
    ...found.filter((line) => !explained.some((name) => line.startsWith(`${name}: `))),
    ...explained.filter((name) => !found.some((line) => line.startsWith(`${name}: `))),
  ];
}

/** What a config says about running, in one form: an absent list is an empty one. */
function settings({ author, config = {}, history = [] }: DockerConfig, { differs = {} }: BuildCase): unknown {
  const names =
    'Env Cmd Entrypoint WorkingDir User Labels ExposedPorts Volumes Shell StopSignal Healthcheck OnBuild';
  const values = names.split(' ').map((name) => [name, plain(config[name])] as const);
  const all = { ...Object.fromEntries(values), author: author ?? null, history: history.length };
  return Object.fromEntries(Object.entries(all).filter(([name]) => differs[name] === undefined));
}

function plain(value: unknown): unknown {
  if (value === undefined || value === null || value === '') return null;
  if (typeof value !== 'object') return value;
  // The builder's own mark.
  const { 'io.buildah.version': _version, ...rest } = value as Record<string, unknown>;
  if (Array.isArray(value)) return value.length === 0 ? null : value;
  return Object.keys(rest).length === 0 ? null : rest;
}
