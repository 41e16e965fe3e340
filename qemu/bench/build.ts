import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { $ } from 'zx';
import { makeBaseTar } from '../../test/support/build-fixtures.ts';
import { loopFilesystem } from '../../test/support/loop-filesystem.ts';
import { DockerDaemon } from '../../test/support/dockerd.ts';
import { best, imgboot, say } from './measure.ts';
import type { Comparison } from './report.ts';

const RUNS = 2;
const SMALL_FILES = 2000;
const LARGE_MB = 200;

/** Seconds that docker takes for the same. */
async function buildWithDocker(
  directory: string,
  { driver, context, sync }: { driver: 'btrfs' | 'overlay'; context: string; sync: () => Promise<unknown> },
): Promise<number> {
  const archive = path.join(directory, 'base.docker.tar');
  await $`skopeo copy --quiet oci:${directory}/store/oci:base:1 docker-archive:${archive}:base:1`;
  await using daemon = await DockerDaemon.start(
    path.join(directory, 'docker'),
    driver === 'btrfs' ? 'btrfs' : 'overlay2',
  );
  await daemon.docker('load', '--quiet', '--input', archive);
  return await best(
    RUNS,
    async () => {
      await daemon.docker('build', '--no-cache', '--network', 'host', '--quiet', '--tag', 'eleven', context);
      await sync();
    },
    sync,
  );
}

/** 2,000 small files and one of 200 MB, a deletion, and small steps. */
const dockerfile = `FROM base:1
ENV A=1
RUN mkdir -p /opt/x && echo hi > /opt/x/y
COPY . /srv/all
RUN rm -rf /srv/all/f1*
WORKDIR /srv
RUN echo one > one
RUN echo two > two
RUN cat one two > three
LABEL a=b
CMD ["/bin/sh"]
`;

/** Dockerfiles of 11 steps against buildah, and one step on images of few and of many files. */
export async function measureBuild(): Promise<Comparison[]> {
  return [...(await onFilesystem('btrfs', 'btrfs')), ...(await onFilesystem('ext4', 'overlay'))];
}

async function onFilesystem(type: 'btrfs' | 'ext4', driver: 'btrfs' | 'overlay'): Promise<Comparison[]> {
  say(`building on ${type}`);
  await using filesystem = await loopFilesystem({ type, sizeBytes: 16 * 2 ** 30 });
  const at = (name: string): string => path.join(filesystem.mountPoint, name);
  const store = ['--store', at('store')];
  const base = await makeBaseTar(filesystem.mountPoint);
  const context = await makeContext(at('context'));
  await $`${imgboot} import ${store} --driver ${driver} ${base} base:1`;
  const sync = async (): Promise<unknown> => $`sync --file-system ${filesystem.mountPoint}`;

  const buildah = ['--root', at('peer'), '--runroot', at('peer-run'), '--storage-driver', 'overlay'];
  const storage = `containers-storage:[overlay@${at('peer')}+${at('peer-run')}]localhost/base:1`;
  await $`skopeo copy --quiet oci:${at('store/oci')}:base:1 ${storage}`;
  const options = ['--layers', '--no-cache', '--isolation', 'chroot', '--network', 'host', '--quiet'];
  const peer = await best(
    RUNS,
    async () => {
      await $`buildah ${buildah} bud ${options} --tag eleven ${context}`;
      await sync();
    },
    sync,
  );
  await $({ nothrow: true })`umount ${at('peer/overlay')}`;
  const docker = await buildWithDocker(filesystem.mountPoint, { driver, context, sync });
  const own = await best(
    RUNS,
    async () => {
      await $`${imgboot} build ${store} --no-cache --quiet -t eleven ${context}`;
      await sync();
    },
    sync,
  );
  // A file that is as young as a second may change without its times telling: it is hashed again.
  await $`sleep 1 && ${imgboot} build ${store} --quiet -t eleven ${context}`;
  const cached = await best(RUNS + 1, async () => $`${imgboot} build ${store} --quiet -t eleven ${context}`);
  const [few, many] = [
    await oneStep(filesystem.mountPoint, 3000),
    await oneStep(filesystem.mountPoint, 300_000),
  ];
  const on = `on ${type} (${driver} driver)`;
  return [
    row(`build 11 steps ${on}`, own, { name: 'buildah --layers', value: peer }, 1 / 3),
    row(`build 11 steps ${on}`, own, { name: 'docker build', value: docker }, 1),
    { what: `build 11 steps from the cache ${on}`, ours: { value: cached, unit: 's' }, target: 0.2 },
    row(`a step on 300,000 files ${on}`, many, { name: 'on 3,000 files', value: few }, 1.2),
  ];

  async function oneStep(directory: string, files: number): Promise<number> {
    const name = `files-${files}:1`;
    const root = path.join(directory, `root-${files}`);
    await mkdir(root);
    await $`tar --directory ${root} --extract --file ${base}`;
    const make = `for d in $(seq ${files / 1000}); do mkdir -p ${root}/many/$d && cd ${root}/many/$d && touch $(seq 1000); done`;
    await $`sh -c ${make}`;
    await $`tar --directory ${root} --create --file ${root}.tar .`;
    await $`${imgboot} import ${store} ${root}.tar ${name}`;
    await rm(root, { recursive: true });
    const step = path.join(directory, `context-${files}`);
    await mkdir(step);
    await writeFile(path.join(step, 'Dockerfile'), `FROM ${name}\nRUN echo x > /x && rm -r /many/1\n`);
    await sync();
    return best(RUNS, async () => $`${imgboot} build ${store} --no-cache --quiet ${step}`, sync);
  }
}

async function makeContext(directory: string): Promise<string> {
  await mkdir(directory);
  await writeFile(path.join(directory, 'Dockerfile'), dockerfile);
  for (let index = 0; index < SMALL_FILES; index += 1)
    await writeFile(path.join(directory, `f${index}`), `${index}\n`.repeat(100));
  await $`dd if=/dev/urandom of=${path.join(directory, 'large')} bs=1M count=${LARGE_MB}`;
  return directory;
}

function row(
  what: string,
  seconds: number,
  peer: { name: string; value: number },
  target: number,
): Comparison {
  return { what, ours: { value: seconds, unit: 's' }, peer: { ...peer, unit: 's' }, target };
}
