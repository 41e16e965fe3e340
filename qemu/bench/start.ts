import { $ } from 'zx';
import { best, imgboot, say } from './measure.ts';
import type { Comparison } from './report.ts';

/** How long the command takes to say its version. */
export async function measureStart(): Promise<Comparison[]> {
  say('--version');
  const value = await best(10, async () => $`${imgboot} --version`);
  return [{ what: '--version', ours: { value, unit: 's' }, target: 0.1 }];
}
