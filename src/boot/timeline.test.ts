import { describe, expect, it } from 'vitest';
import type { BootReport } from './boot-report.ts';
import { timelineSvg } from './timeline-svg.ts';
import { bootPhases, type Phase } from './timeline.ts';

const report: BootReport = {
  version: 1,
  reference: 'debian:bookworm',
  image: null,
  chain: null,
  driver: 'btrfs',
  store: '/imgboot',
  root: { asked: null, device: '/dev/vda', fstype: 'btrfs' },
  topLayer: null,
  fallbacks: [],
  init: '/sbin/init',
  steps: [
    { name: 'start', startMs: 1400, endMs: 1420 },
    { name: 'modules', startMs: 1420, endMs: 2000 },
  ],
};

describe('the phases of a boot', () => {
  it('are the kernel and the steps of the initramfs, where no more is known', () => {
    expect(bootPhases(report).map(({ name, startMs, endMs }) => [name, startMs, endMs])).toEqual([
      ['kernel', 0, 1400],
      ['start', 1400, 1420],
      ['modules', 1420, 2000],
    ]);
  });

  it('go from the firmware to the last unit, where the manager knows', () => {
    const manager = { firmware: 3_000_000, loader: 1_000_000, userspace: 2_300_000, finish: 9_000_000 };
    expect(
      bootPhases(report, manager).map(({ name, by, startMs, endMs }) => [name, by, startMs, endMs]),
    ).toEqual([
      ['firmware', 'firmware', -3000, -1000],
      ['boot loader', 'loader', -1000, 0],
      ['kernel', 'kernel', 0, 1400],
      ['start', 'initramfs', 1400, 1420],
      ['modules', 'initramfs', 1420, 2000],
      ['switch_root', 'initramfs', 2000, 2300],
      ['/sbin/init', 'system', 2300, 9000],
    ]);
  });

  it('of a machine without firmware times begin with the kernel', () => {
    const manager = { firmware: 0, loader: 0, userspace: 2_300_000, finish: 0 };
    expect(bootPhases(report, manager).map(({ name }) => name)).toEqual([
      'kernel',
      'start',
      'modules',
      'switch_root',
    ]);
  });
});

describe('the picture of a boot', () => {
  it('has a bar for each phase, in proportion, and takes no markup from names', () => {
    const phases: Phase[] = [
      { name: 'one<', by: 'kernel', startMs: 0, endMs: 1000 },
      { name: 'two', by: 'initramfs', startMs: 1000, endMs: 3000 },
    ];
    const svg = timelineSvg([{ title: 'a <b> & c\n', phases }]);
    const widths = [...svg.matchAll(/<rect x="[\d.]+" y="\d+" width="([\d.]+)"/g)].map(([, width]) =>
      Number(width),
    );
    expect(widths[1]! / widths[0]!).toBeCloseTo(2, 1);
    expect(svg).toContain('a &lt;b&gt; &amp; c');
    expect(svg).toContain('one&lt;');
    expect(svg.match(/<b>/)).toBeNull();
  });

  it('of two boots has both on one axis', () => {
    const phases = (endMs: number): Phase[] => [{ name: 'kernel', by: 'kernel', startMs: 0, endMs }];
    const svg = timelineSvg([
      { title: 'first', phases: phases(1000) },
      { title: 'second', phases: phases(4000) },
    ]);
    const bars = [...svg.matchAll(/<rect x="[\d.]+" y="(\d+)" width="([\d.]+)"/g)].map(([, y, width]) => [
      Number(y),
      Number(width),
    ]);
    expect(bars[1]![1]! / bars[0]![1]!).toBeCloseTo(4, 1);
    expect(bars[1]![0]!).toBeGreaterThan(bars[0]![0]! + 50);
    expect(svg.indexOf('second')).toBeGreaterThan(svg.indexOf('first'));
  });
});
