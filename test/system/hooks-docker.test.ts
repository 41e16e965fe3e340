import { createHash } from 'node:crypto';
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hookLibrary, hookPort, hookShells } from '../support/hook-shells.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

/** What is found out about the image, a line each. */
const find = `
imgboot_parse_cmdline "root=/dev/vda $1"
imgboot_check_parameters
imgboot_device=/dev/vda
imgboot_work=$PWD
imgboot_find_foreign_image "$PWD/disk"
printf '%s\\n' "image $imgboot_image_id" "chain $imgboot_chain" "driver $imgboot_driver" "layers$imgboot_layers" \\
  "in \${imgboot_layers_dir#"$PWD/disk"}" "store $imgboot_store_path $imgboot_store_from_layers" "flags $imgboot_rootflags" \\
  "ephemeral \${imgboot_ephemeral#"$PWD/disk"}"
`;

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');
const diffs = ['a', 'b', 'c'].map((text) => `sha256:${hash(text)}`);
const chains = diffs.reduce<string[]>(
  (known, diff) => [...known, known.length === 0 ? diff : `sha256:${hash(`${known.at(-1)} ${diff}`)}`],
  [],
);
const link = (number: number): string => `l/ABCDEFGHIJKLMNOPQRSTUVWXY${'ZYX'[number]}`;

describe.each(Object.entries(hookShells))("Docker's and Podman's stores under %s", (_, shell) => {
  let work: TemporaryDirectory;
  beforeEach(async () => {
    work = await TemporaryDirectory.create();
    await mkdir(path.join(work.path, 'disk'));
  });
  afterEach(async () => work[Symbol.asyncDispose]());

  const onDisk = (...parts: string[]): string => path.join(work.path, 'disk', ...parts);

  async function write(file: string, text: string): Promise<void> {
    await mkdir(path.dirname(onDisk(file)), { recursive: true });
    await writeFile(onDisk(file), text);
  }

  /** The directories of three overlay layers, as both engines have them. */
  async function writeOverlay(place: string, names: readonly string[]): Promise<void> {
    for (const [number, name] of names.entries()) {
      await mkdir(onDisk(place, name, 'diff'), { recursive: true });
      await mkdir(onDisk(place, 'l'), { recursive: true });
      await symlink(`../${name}/diff`, onDisk(place, link(number)));
      await write(path.join(place, name, 'link'), link(number).slice(2));
      const below = Array.from({ length: number }, (__, index) => link(number - 1 - index));
      if (number > 0) await write(path.join(place, name, 'lower'), below.join(':'));
    }
  }

  /** An image of three layers, by the name of demo:1. @returns its ID */
  async function writeDocker(root: string, driver = 'overlay2'): Promise<string> {
    const config = JSON.stringify({
      config: { Labels: { odd: 'a "quoted" { brace' } },
      rootfs: { type: 'layers', diff_ids: diffs },
    });
    const id = hash(config);
    const image = `${root}/image/${driver}`;
    await write(`${image}/imagedb/content/sha256/${id}`, config);
    const names = { 'demo:1': `sha256:${id}`, 'demo:latest': `sha256:${id}` };
    const repositories = {
      Repositories: { demo: names, 'localhost:5000/a/b': { 'localhost:5000/a/b:2': `sha256:${id}` } },
    };
    await write(`${image}/repositories.json`, JSON.stringify(repositories));
    for (const [number, chain] of chains.entries())
      await write(`${image}/layerdb/sha256/${chain.slice(7)}/cache-id`, `cache${number}`);
    if (driver === 'overlay2') await writeOverlay(`${root}/overlay2`, ['cache0', 'cache1', 'cache2']);
    else await mkdir(onDisk(root, driver, 'subvolumes/cache2'), { recursive: true });
    return id;
  }

  async function writePodman(root: string): Promise<string> {
    const layers = ['0', '1', '2'].map((digit) => digit.repeat(64));
    const id = 'e'.repeat(64);
    const images = [
      { id: 'f'.repeat(64), names: null, layer: layers[0] },
      {
        id,
        digest: `sha256:${'d'.repeat(64)}`,
        names: ['localhost/demo:1', 'quay.io/x/demo:2'],
        layer: layers[2],
        created: 1,
      },
    ];
    await write(`${root}/overlay-images/images.json`, JSON.stringify(images));
    await writeOverlay(`${root}/overlay`, layers);
    return id;
  }

  async function run(words: string): Promise<{ lines: string[]; stderr: string; exitCode: number }> {
    const text = `set -u; imgboot_run=.; imgboot_work=work; imgboot_lib=$1; shift; ${hookPort} . "$imgboot_lib/imgboot.sh"\n${find}`;
    const { stdout, stderr, exitCode } = await execa(
      shell[0]!,
      [...shell.slice(1), '-c', text, 'sh', hookLibrary, words],
      {
        cwd: work.path,
        env: { LC_ALL: 'C' },
        reject: false,
      },
    );
    return { lines: stdout.split('\n'), stderr, exitCode: exitCode! };
  }

  /** The error of a command line that boots nothing. */
  async function failure(words: string): Promise<string> {
    const { stderr, exitCode } = await run(words);
    expect(exitCode).toBe(3);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    return stderr.trim();
  }

  const layersOf = (id: string): string[] => [
    `image sha256:${id}`,
    `chain ${chains[2]}`,
    'driver overlay',
    `layers ${link(2)} ${link(1)} ${link(0)}`,
  ];

  it('an image is found by name, ID and registry, its layers by the formula', async () => {
    const id = await writeDocker('/var/lib/docker');
    const found = [
      ...layersOf(id),
      'in /var/lib/docker/overlay2',
      'store /var/lib/imgboot ../../../../var/lib/imgboot',
      'flags ',
      'ephemeral ',
    ];
    for (const name of [
      'demo:1',
      'demo',
      'docker.io/library/demo:1',
      `sha256:${id}`,
      id.slice(0, 12),
      'localhost:5000/a/b:2',
    ])
      expect({ name, lines: (await run(`imgboot.image=docker://${name}`)).lines }).toEqual({
        name,
        lines: found,
      });
  });

  it('the place of writable layers is an imgboot store, or beside the other store', async () => {
    await writeDocker('/docker');
    expect((await run('imgboot.image=docker://demo')).lines).toContain('store /imgboot ../../imgboot');
    await mkdir(onDisk('var/lib/imgboot/deployments'), { recursive: true });
    expect((await run('imgboot.image=docker://demo')).lines).toContain(
      'store /var/lib/imgboot ../../var/lib/imgboot',
    );
    await writeDocker('/srv/engine');
    expect((await run('imgboot.image=docker://demo docker_path=srv/engine')).lines).toContain(
      'in /srv/engine/overlay2',
    );
  });

  it("Podman's image is found by its short name and its ID", async () => {
    const id = await writePodman('/var/lib/containers/storage');
    const digest = `localhost/demo@sha256:${'d'.repeat(64)}`;
    for (const name of ['demo:1', 'localhost/demo:1', 'quay.io/x/demo:2', digest, id.slice(0, 12)]) {
      const { lines } = await run(`imgboot.image=containers-storage:${name}`);
      expect(lines).toEqual([
        `image sha256:${id}`,
        `chain sha256:${'2'.repeat(64)}`,
        'driver overlay',
        `layers ${link(2)} ${link(1)} ${link(0)}`,
        'in /var/lib/containers/storage/overlay',
        'store /var/lib/imgboot ../../../../../var/lib/imgboot',
        'flags ',
        'ephemeral ',
      ]);
    }
    expect(await failure('imgboot.image=containers-storage:demo:3')).toMatch(
      /the store \/var\/lib\/containers\/storage on \/dev\/vda has no such image; it has: localhost\/demo:1 quay.io\/x\/demo:2/,
    );
  });

  it("rootflags=subvol= with docker_path= names the writable layer of Docker's btrfs", async () => {
    await writeDocker('/docker', 'btrfs');
    const { lines } = await run(
      'rootflags=compress=zstd,subvol=docker_rwlayer docker_path=docker imgboot.image=docker://demo',
    );
    expect(lines).toContain('driver btrfs');
    expect(lines).toContain('layers cache2');
    expect(lines).toContain('flags compress=zstd');
    expect(lines).toContain('ephemeral /docker_rwlayer');
    expect(await failure('rootflags=subvol=../x docker_path=docker imgboot.image=docker://demo')).toContain(
      'rootflags=subvol=../x on the kernel command line: is no name for a writable layer',
    );
    expect(await failure('rootflags=subvol=/ docker_path=docker imgboot.image=docker://demo')).toContain(
      'is no name for a writable layer',
    );
    expect(
      await failure(
        'rootflags=subvol=docker/btrfs/subvolumes/cache2 docker_path=docker imgboot.image=docker://demo',
      ),
    ).toContain("is a layer of Docker's own");
    expect(await failure('docker_path=docker')).toContain(
      'there is no /etc/docker-btrfs.json in the initramfs',
    );
  });

  it('what is not there, or not whole, is one line that says so', async () => {
    expect(await failure('imgboot.image=docker://demo')).toContain(
      "looking for Docker's store on /dev/vda: there is none at /var/lib/docker /docker",
    );
    const id = await writeDocker('/docker');
    expect(await failure('imgboot.image=docker://demo docker_path=elsewhere')).toContain(
      'there is none at /elsewhere',
    );
    expect(await failure('imgboot.image=docker://demo:7')).toContain(
      'has no such image; it has: demo:1 demo:latest localhost:5000/a/b:2',
    );
    expect(await failure('imgboot.image=docker://$(reboot)')).toContain('is no image reference');
    await rm(onDisk('docker/overlay2', link(0)));
    expect(await failure('imgboot.image=docker://demo')).toContain(
      `there is no overlay2/${link(0)}, a layer of`,
    );
    await write('docker/overlay2/cache2/lower', 'l/../../../etc');
    expect(await failure('imgboot.image=docker://demo')).toContain('names the layer "l/../../../etc"');
    const top = `docker/image/overlay2/layerdb/sha256/${chains[2]!.slice(7)}`;
    await write(`${top}/cache-id`, '../../x');
    expect(await failure('imgboot.image=docker://demo')).toContain('has the directory "../../x"');
    await rm(onDisk(top, 'cache-id'));
    expect(await failure('imgboot.image=docker://demo')).toContain('has no cache-id');
    await rm(onDisk(top), { recursive: true });
    expect(await failure('imgboot.image=docker://demo')).toContain('is not there; it may be half pulled');
    await write(`docker/image/overlay2/imagedb/content/sha256/${id}`, '{"rootfs":{"diff_ids":[]}}');
    expect(await failure('imgboot.image=docker://demo')).toContain('is not what its name says');
    await write('docker/image/overlay2/repositories.json', '{"Repositories":{"demo":{"demo:1":"sha');
    expect(await failure('imgboot.image=docker://demo')).toContain(
      'reading /docker/image/overlay2/repositories.json: it is no JSON, or cut off',
    );
  });

  it("an unknown driver and containerd's store name the way out", async () => {
    await mkdir(onDisk('docker/image/vfs'), { recursive: true });
    expect(await failure('imgboot.image=docker://demo')).toMatch(
      /has the driver vfs, and only overlay2 and btrfs .*imgboot pull docker-daemon:demo/,
    );
    await mkdir(onDisk('docker/image/overlayfs'), { recursive: true });
    expect(await failure('imgboot.image=docker://demo')).toMatch(
      /is containerd's, .*imgboot pull docker-daemon:demo/,
    );
    await mkdir(onDisk('var/lib/containers/storage/vfs-images'), { recursive: true });
    expect(await failure('imgboot.image=containers-storage:demo')).toContain('there is none at');
  });

  it('an image that two drivers have is not guessed', async () => {
    await writeDocker('/docker');
    await writeDocker('/docker', 'btrfs');
    expect(await failure('imgboot.image=docker://demo')).toContain('has it twice, by overlay2 and by btrfs');
  });
});

describe('json.awk', () => {
  const json = async (text: string, under = ''): Promise<{ lines: string[]; exitCode: number }> => {
    const { stdout, exitCode } = await execa(
      'busybox',
      ['awk', '-v', `under=${under}`, '-f', `${hookLibrary}/json.awk`],
      {
        input: text,
        reject: false,
      },
    );
    return { lines: stdout.split('\n').filter(Boolean), exitCode: exitCode! };
  };

  it('prints the strings that JSON.stringify writes, where they stand', async () => {
    const odd = 'a "quote", a \\ and \\" more { [ : , ] }';
    const value = { a: { 'k"y': [odd, 'b\\', { c: '' }, 1, null, true] }, z: [['x'], 'y'] };
    for (const space of [0, 2]) {
      expect(await json(JSON.stringify(value, null, space))).toEqual({
        lines: [
          String.raw`a	k\"y	0	a \"quote\", a \\ and \\\" more { [ : , ] }`,
          String.raw`a	k\"y	1	b\\`,
          'a\tk\\"y\t2\tc\t',
          'z\t0\t0\tx',
          'z\t1\ty',
        ],
        exitCode: 0,
      });
    }
    expect((await json(JSON.stringify(value), 'z\t0')).lines).toEqual(['z\t0\t0\tx']);
  });

  it('tells what is cut off at any byte', async () => {
    const text = JSON.stringify({ a: ['b', { c: 'd' }], e: 'f' });
    for (let bytes = 0; bytes < text.length; bytes += 1)
      expect({ bytes, ...(await json(text.slice(0, bytes))) }).toMatchObject({ bytes, exitCode: 1 });
    expect((await json(text)).exitCode).toBe(0);
  });
});
