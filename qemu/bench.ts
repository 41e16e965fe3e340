import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { measureBoots } from './bench/boot.ts';
import { measureBuild } from './bench/build.ts';
import { measureDeploy } from './bench/deploy.ts';
import { measureInitramfs } from './bench/initramfs.ts';
import { measureKnow } from './bench/know.ts';
import { measureMemory } from './bench/memory.ts';
import { describeMachine } from './bench/machine.ts';
import { makePeersRoot } from './bench/peers-root.ts';
import { asMarkdown, asText, type Comparison } from './bench/report.ts';
import { measureRun } from './bench/run.ts';
import { measureStart } from './bench/start.ts';
import { measureTopLayer } from './bench/top-layer.ts';
import { measureUnpack } from './bench/unpack.ts';

// `npm run bench`: ratios against peers, all in one run on one machine, because only such ratios mean anything.

const parts = [
  'start',
  'initramfs',
  'boot',
  'unpack',
  'build',
  'run',
  'deploy',
  'toplayer',
  'know',
  'memory',
] as const;
type Part = (typeof parts)[number];

const asked = process.argv.slice(2);
const wrong = asked.find((name) => !parts.includes(name as Part));
if (wrong !== undefined) {
  process.stderr.write(`bench: no part is called ${JSON.stringify(wrong)}: ${parts.join(', ')}\n`);
  process.exit(2);
}
const wanted = (part: Part): boolean => asked.length === 0 || asked.includes(part);

const comparisons: Comparison[] = [];
if (wanted('start')) comparisons.push(...(await measureStart()));
if (wanted('initramfs') || wanted('boot')) {
  await using peers = await makePeersRoot();
  const made = await measureInitramfs(peers, wanted('initramfs') ? 2 : 1);
  if (wanted('initramfs')) comparisons.push(...made.comparisons);
  if (wanted('boot')) comparisons.push(...(await measureBoots(peers, made.files)));
}
if (wanted('unpack')) comparisons.push(...(await measureUnpack()));
if (wanted('build')) comparisons.push(...(await measureBuild()));
if (wanted('run')) comparisons.push(...(await measureRun()));
if (wanted('deploy')) comparisons.push(...(await measureDeploy()));
if (wanted('toplayer')) comparisons.push(...(await measureTopLayer()));
if (wanted('know')) comparisons.push(...(await measureKnow()));
if (wanted('memory')) comparisons.push(...(await measureMemory()));

process.stdout.write(asText(comparisons));
if (asked.length === 0) {
  const target = path.resolve(import.meta.dirname, '../docs/benchmarks.md');
  await writeFile(target, asMarkdown(comparisons, await describeMachine()));
  process.stderr.write(`bench: wrote ${path.relative('.', target)}\n`);
}
