import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BootReport } from '../../src/boot/boot-report.ts';
import type { BootSummary } from '../../src/boot/boot-summary.ts';
import { Store } from '../../src/store/store.ts';
import { runCli, runCliAsNobody, runCliOk, type CliResult } from '../support/run-cli.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

/** A report as hooks/lib/report.sh writes it. */
function report(more: Partial<BootReport> & { startMs?: number }): BootReport {
  const { startMs = 1000, ...rest } = more;
  return {
    version: 1,
    time: '2026-11-21T20:15:30Z',
    reference: 'desktop:latest',
    image: `sha256:${'1'.repeat(64)}`,
    chain: `sha256:${'2'.repeat(64)}`,
    driver: 'btrfs',
    store: '/imgboot',
    root: { asked: 'LABEL=x', device: '/dev/vda', fstype: 'btrfs' },
    writable: { asked: null, got: 'ephemeral', layer: 'deployments/desktop/1/ephemeral', number: 1, keep: 1 },
    topLayer: null,
    fallbacks: [],
    init: '/sbin/init',
    steps: [
      { name: 'start', startMs, endMs: startMs + 200 },
      { name: 'device', startMs: startMs + 200, endMs: startMs + 1000 },
    ],
    ...rest,
  };
}

const desktop = (got: string, number: number | null): NonNullable<BootReport['deployment']> => ({
  asked: 'desktop',
  got,
  try: number,
});

describe('the boots of a store', () => {
  let work: TemporaryDirectory;
  let store: string;

  beforeAll(async () => {
    work = await TemporaryDirectory.create();
    store = path.join(work.path, 'store');
    Store.openOrCreate(store, 'overlay');
    const keep = (name: string, file: string, content: BootReport | string): void => {
      mkdirSync(path.join(store, 'boots', name), { recursive: true });
      const text = typeof content === 'string' ? content : `${JSON.stringify(content, null, 2)}\n`;
      writeFileSync(path.join(store, 'boots', name, file), text);
    };
    keep('desktop', '1.json', report({ deployment: desktop('desktop/1', 1), time: '1970-01-01T00:00:09Z' }));
    keep('desktop', '1.good', '');
    keep('debian%3Abookworm', '2.json', report({ reference: 'debian:bookworm', startMs: 1500 }));
    const fallbacks = [
      'desktop/2 was booted 3 times and never found good; booting desktop/1 in its place',
      'a\u001b[31mb',
    ];
    keep('desktop', '9.json', report({ deployment: desktop('desktop/2', 2), time: null }));
    keep('desktop', '10.json', report({ deployment: desktop('desktop/1', null), fallbacks }));
    // What power and people have left.
    keep('desktop', '11.json', '');
    keep('desktop', '12.json', '{ "version": 1, "steps": [');
    keep('desktop', '13.json', 'null');
    keep('desktop', '14.json.new', '{}');
    keep('desktop', 'notes.json', '{}');
    writeFileSync(path.join(store, 'boots/README'), 'not a directory');
  });
  afterAll(async () => work[Symbol.asyncDispose]());

  const boots = async (...args: string[]): Promise<string> =>
    runCliOk(['boots', '--store', store, ...args], { env: { TZ: 'UTC' } });
  const show = async (...args: string[]): Promise<CliResult> =>
    runCli(['boots', 'show', '--store', store, ...args], { env: { TZ: 'UTC' } });

  it('are listed, the latest first, and what is damaged is passed over', async () => {
    expect(await boots())
      .toBe(`BOOT  WHEN              BOOTED           WRITABLE   SECONDS  OUTCOME   FALLBACKS
10    2026-11-21 20:15  desktop/1        ephemeral  2.0                desktop/2 was booted 3 times and never found good; booting desktop/1 in its place; a [31mb
9     clock not set     desktop/2        ephemeral  2.0      not good
2     2026-11-21 20:15  debian:bookworm  ephemeral  2.5
1     clock not set     desktop/1        ephemeral  2.0      good
`);
  });

  it.each([
    ['desktop', [10, 9, 1]],
    ['desktop/1', [10, 1]],
    ['debian:bookworm', [2]],
    ['other', []],
  ])('of %s are %j', async (name, numbers) => {
    const list = JSON.parse(await boots(name, '--json')) as BootSummary[];
    expect(list.map(({ number }) => number)).toEqual(numbers);
  });

  it('are told as JSON', async () => {
    const [first] = JSON.parse(await boots('desktop/2', '--json')) as BootSummary[];
    expect(first).toEqual({
      number: 9,
      time: null,
      of: 'desktop/2',
      image: 'desktop:latest',
      writable: 'ephemeral',
      seconds: 2,
      outcome: 'counted',
      running: false,
      fallbacks: [],
    });
  });

  it('are shown by their number, and drawn', async () => {
    const svg = path.join(work.path, 'boot.svg');
    const { stdout } = await show('2', '--svg', svg);
    expect(stdout).toMatch(
      /^boot 2, 2026-11-21 20:15: debian:bookworm from \/dev\/vda \(btrfs\), ephemeral\n {2}0\.00 {2}kernel .*\n {2}1\.50 {2}start .*\n {2}1\.70 {2}device /,
    );
    expect(readFileSync(svg, 'utf8').match(/<rect x/g)).toHaveLength(3);
  });

  it('are shown beside one another', async () => {
    const svg = path.join(work.path, 'boots.svg');
    const { stdout } = await show('2', '--against', '1', '--svg', svg);
    expect(stdout).toBe(`1: boot 2, 2026-11-21 20:15: debian:bookworm from /dev/vda (btrfs), ephemeral
2: boot 1, clock not set: desktop/1, desktop:latest from /dev/vda (btrfs), ephemeral
PHASE          1         2  1 LONGER BY
kernel    1.50 s    1.00 s      +0.50 s
start     0.20 s    0.20 s      +0.00 s
device    0.80 s    0.80 s      +0.00 s
all       2.50 s    2.00 s      +0.50 s
`);
    expect(readFileSync(svg, 'utf8').match(/<rect x/g)).toHaveLength(6);
    const json = JSON.parse((await show('2', '--against', '1', '--json')).stdout) as unknown[];
    expect(json[0]).toEqual({ name: 'kernel', ms: 1500, againstMs: 1000 });
  });

  it('and reports in files are the same to it', async () => {
    const { stdout } = await show(path.join(store, 'boots/desktop/9.json'), '--against', '2');
    expect(stdout).toContain('1: desktop/2, desktop:latest from /dev/vda');
  });

  it.each([
    [['7'], 1, 'the store has no report of boot 7\n  imgboot boots lists them: 1 to 10'],
    [['11'], 1, 'the store has no report of boot 11'],
    [['nothing.json'], 1, 'there is no report nothing.json'],
    [['1', '--against', '7'], 1, 'no report of boot 7'],
  ])('%j is refused', async (args, status, says) => {
    const { exitCode, stderr } = await show(...args);
    expect([exitCode, stderr]).toEqual([status, expect.stringContaining(says)]);
  });

  it('are none where there was none, and root’s alone', async () => {
    const other = path.join(work.path, 'other');
    Store.openOrCreate(other, 'overlay');
    expect(await runCliOk(['boots', '--store', other])).toMatch(/^BOOT .*\n$/);
    const { exitCode, stderr } = await runCliAsNobody(['boots', '--store', store]);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('permission denied')]);
  });
});
