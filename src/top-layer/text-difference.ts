import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../system/exec.ts';
import { TemporaryDirectory } from '../system/temporary-directory.ts';
import type { Effect } from './effects.ts';
import { contentOf, type Scene } from './finding.ts';
import { factsOf } from './new-root.ts';
import { isSecret } from './secret.ts';
import { showName } from './show.ts';

/** Where two files of text differ, or why that is not shown. */
export type TextDifference =
  { kind: 'lines'; unified: string } | { kind: 'not-shown'; why: 'secret' | 'binary' | 'large' };

const LARGEST_BYTES = 256 << 10;

/** How the contents of files differ, by place, for the effects that change one. What is secret is not even read. */
export async function textDifferences(
  scene: Scene,
  effects: readonly Effect[],
  names: { image: string },
): Promise<Map<string, TextDifference>> {
  const differences = new Map<string, TextDifference>();
  for (const { place, what } of effects)
    if (what.includes('content')) differences.set(place, await difference(scene, place, names));
  return differences;
}

async function difference(
  scene: Scene,
  place: string,
  { image }: { image: string },
): Promise<TextDifference> {
  const nodes = [scene.before.at(place)!, scene.after.at(place)!] as const;
  if (nodes.some((node) => isSecret(place, factsOf(node)))) return { kind: 'not-shown', why: 'secret' };
  if (nodes.some((node) => factsOf(node).sizeBytes > LARGEST_BYTES))
    return { kind: 'not-shown', why: 'large' };
  const texts = nodes.map((node) => contentOf(scene, node)!);
  if (texts.some((text) => text.includes('\0'))) return { kind: 'not-shown', why: 'binary' };
  await using directory = await TemporaryDirectory.create();
  const files = texts.map((text, index) => {
    const file = join(directory.path, String(index));
    writeFileSync(file, Buffer.from(text, 'latin1'), { mode: 0o600 });
    return file;
  });
  const labels = [`${image}:${showName(place)}`, `top layer:${showName(place)}`];
  const args = ['--unified', ...labels.flatMap((label) => ['--label', label]), '--', ...files];
  const { stdout } = await runCommand('diff', args, { okStatuses: [0, 1] });
  return { kind: 'lines', unified: stdout };
}
