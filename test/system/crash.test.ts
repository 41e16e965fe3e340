import { spawn } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repository } from '../support/paths.ts';
import { tar } from '../support/tar-builder.ts';
import {
  drivers,
  leftovers,
  storeFilesystem,
  type StoreFilesystem,
  type TestStore,
} from '../support/test-store.ts';

const POINTS = 25;
const LAYERS = 4;

/** Many small files and a large one, so that there is time in every phase. */
function layer(number: number): Buffer {
  return tar(
    ...Array.from({ length: 150 }, (_, index) => ({
      path: `l${number}/f${index}`,
      content: `${number} ${index}`,
    })),
    { path: `l${number}/large`, content: Buffer.alloc(1 << 20, `${number} not zeros `) },
    ...(number === 0 ? [] : [{ path: `l${number - 1}/.wh.f0` }]),
  );
}

describe.each(drivers)('killed at any point, with the $driver driver', (driver) => {
  let filesystem: StoreFilesystem;
  let inputs: Record<'load' | 'import', string[]>;
  beforeAll(async () => {
    filesystem = await storeFilesystem(driver);
    const layers = Array.from({ length: LAYERS }, (_, index) => layer(index));
    const rootfs = filesystem.fresh('rootfs.tar');
    writeFileSync(rootfs, layer(0));
    inputs = {
      load: ['-i', filesystem.layout({ name: 'image:1', layers })],
      import: [rootfs, 'image:1'],
    };
  });
  afterAll(async () => filesystem[Symbol.asyncDispose]());

  it.each(['load', 'import'] as const)(
    '%s leaves a store that is whole for the next command, and nothing running or mounted',
    async (verb) => {
      const store = filesystem.store();
      const args = [verb, '--store', store.path, ...inputs[verb]];
      const durationMs = await timed(() => run(args));
      await store.cliOk('rmi', ['image:1']);
      expect([store.layers(), store.blobs()]).toEqual([[], []]);
      // On a machine that has become slower the last points may come too early: the sweep goes on until the command ends.
      let images = 0;
      for (let point = 0; point < POINTS || (images === 0 && point < 3 * POINTS); point += 1) {
        images = await killedAt(store, args, (durationMs * 1.05 * point) / POINTS);
        if (images > 0) await store.cliOk('rmi', ['image:1']);
      }
      expect(images).toBe(1);
      await store.cliOk(verb, inputs[verb]);
      expect(await store.read('image:1', ['l0/f1'])).toEqual(['0 1']);
      expect(await store.fsck()).toEqual([]);
    },
  );

  /** @returns how many images there are then */
  async function killedAt(store: TestStore, args: string[], afterMs: number): Promise<number> {
    await run(args, afterMs);
    const at = `killed after ${Math.round(afterMs)} ms`;
    const problems = await store.fsck();
    const { length } = store.store.images();
    const layersOfImage = args[0] === 'load' ? LAYERS : 1;
    expect({
      at,
      problems,
      left: await gone(store.path),
      layers: store.layers().length,
      temporary: readdirSync(path.join(store.path, 'tmp')),
    }).toEqual({ at, problems: [], left: [], layers: length * layersOfImage, temporary: [] });
    return length;
  }
});

/** Runs a command; with `killAfterMs` only its first process is killed: whatever it started must see to itself. */
async function run(args: string[], killAfterMs?: number): Promise<void> {
  const child = spawn(path.join(repository, 'bin/imgboot'), args, { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  if (killAfterMs !== undefined) {
    await Promise.race([sleep(killAfterMs), ended]);
    child.kill('SIGKILL');
  }
  await ended;
  if (killAfterMs === undefined && child.exitCode !== 0) throw new Error(`imgboot ${args.join(' ')} failed`);
}

async function timed(action: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await action();
  return performance.now() - startedMs;
}

/** What is left after a moment: the kernel takes one to end a process that is in a system call. */
async function gone(directory: string): Promise<string[]> {
  for (let tries = 0; ; tries += 1) {
    const left = await leftovers(directory);
    if (left.length === 0 || tries === 50) return left;
    await sleep(100);
  }
}
