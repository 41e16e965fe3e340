import { spawn } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeployHost } from '../support/deploy-host.ts';
import { repository } from '../support/paths.ts';
import { runCliOk } from '../support/run-cli.ts';
import { drivers, leftovers } from '../support/test-store.ts';

/** How a command is stopped; one that is asked to end tidies up itself. */
const stops = { killed: 'SIGKILL', interrupted: 'SIGINT' } as const;

/** What is done, from desktop/1 (good) and desktop/2 (good, the default), and what is booted after it. */
const changes = {
  upgrade: { args: [], after: 'desktop/3' },
  rollback: { args: [], after: 'desktop/1' },
  undeploy: { args: ['desktop'], after: 'debian' },
} as const;

const BEFORE = 'desktop/2';

describe.each([
  { driver: 'btrfs', verb: 'upgrade', stop: 'killed', points: 10 },
  { driver: 'btrfs', verb: 'upgrade', stop: 'interrupted', points: 4 },
  { driver: 'btrfs', verb: 'undeploy', stop: 'killed', points: 6 },
  { driver: 'overlay', verb: 'upgrade', stop: 'killed', points: 8 },
  { driver: 'overlay', verb: 'rollback', stop: 'killed', points: 8 },
] as const)('with the $driver driver, $verb $stop at any point', ({ driver, verb, stop, points }) => {
  const { args, after } = changes[verb];
  let host: DeployHost;
  beforeEach(async () => {
    host = await DeployHost.create(drivers.find((one) => one.driver === driver)!);
  });
  afterEach(async () => host[Symbol.asyncDispose]());

  it('leaves the old or the new to boot, and nothing else for long', { timeout: 600_000 }, async () => {
    await prepare();
    const durationMs = await timed(async () => run());
    expect(host.bootedNext()).toBe(after);
    await restore();
    // On a machine that has become slower the last points may come too early: the sweep goes on until the command ends.
    let ends = 0;
    for (let point = 0; point < points || (ends === 0 && point < 3 * points); point += 1) {
      await run((durationMs * 1.05 * point) / points);
      const next = host.bootedNext();
      const left = await gone(host.store.path);
      const strays = stop === 'interrupted' ? host.strays() : [];
      await settle();
      expect({ point, booted: [BEFORE, after].includes(next) ? 'old or new' : next, left, strays }).toEqual({
        point,
        booted: 'old or new',
        left: [],
        strays: [],
      });
      // Whatever is changed next makes good what was begun.
      const settled = { point, booted: host.bootedNext(), strays: host.strays() };
      expect(settled).toEqual({ point, booted: host.deployments.default ?? 'debian', strays: [] });
      if (next === after) ends += 1;
      if (host.deployments.default !== BEFORE) await restore();
    }
    expect(ends).toBeGreaterThan(0);
    expect(await host.store.fsck()).toEqual([]);
  });

  async function restore(): Promise<void> {
    if (verb === 'rollback') await host.store.cliOk('rollback', [BEFORE]);
    else await prepare();
  }

  /** Two good versions, and a newer image. */
  async function prepare(): Promise<void> {
    if (host.deployments.default !== null) await host.store.cliOk('undeploy', ['desktop']);
    for (const number of [1, 2]) {
      await host.load('desktop:latest', number);
      await host.deploy('desktop');
      host.bless(`desktop/${number}`);
    }
    await host.load('desktop:latest', 3);
    await settle();
  }

  /** A change that changes nothing; where nothing is deployed, there is none, and what is left of it goes all the same. */
  async function settle(): Promise<void> {
    const version = host.deployments.deployments[0]?.versions[0];
    if (version === undefined) await host.store.cli('rollback');
    else await runCliOk(['deployment', 'unpin', '--store', host.store.path, `desktop/${version.number}`]);
  }

  /** Runs the command; a signal goes to its first process alone: whatever it started must see to itself. */
  async function run(stopAfterMs?: number): Promise<void> {
    const words = [verb, '--store', host.store.path, ...args];
    const child = spawn(path.join(repository, 'bin/imgboot'), words, { stdio: 'ignore' });
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    if (stopAfterMs !== undefined) {
      await Promise.race([sleep(stopAfterMs), ended]);
      child.kill(stops[stop]);
    }
    await ended;
    if (stopAfterMs === undefined && child.exitCode !== 0)
      throw new Error(`imgboot ${words.join(' ')} failed`);
  }
});

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
