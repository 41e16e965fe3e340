import { mkdirSync, writeFileSync } from 'node:fs';
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
  const texts: { place: string; texts: readonly [string, string] }[] = [];
  for (const { place, what } of effects) {
    if (!what.includes('content')) continue;
    const found = textsAt(scene, place);
    if ('why' in found) differences.set(place, { kind: 'not-shown', why: found.why });
    else texts.push({ place, texts: found.texts });
  }
  const unified = await unifiedDifferences(texts.map((one) => one.texts));
  for (const [index, { place }] of texts.entries()) {
    const head = `--- ${names.image}:${showName(place)}\n+++ top layer:${showName(place)}\n`;
    differences.set(place, { kind: 'lines', unified: head + (unified.get(index) ?? '') });
  }
  return differences;
}

/** A file's content before and after. */
function textsAt(
  scene: Scene,
  place: string,
): { texts: [string, string] } | { why: 'secret' | 'binary' | 'large' } {
  const nodes = [scene.before.at(place)!, scene.after.at(place)!] as const;
  if (nodes.some((node) => isSecret(place, factsOf(node)))) return { why: 'secret' };
  if (nodes.some((node) => factsOf(node).sizeBytes > LARGEST_BYTES)) return { why: 'large' };
  const texts: [string, string] = [contentOf(scene, nodes[0])!, contentOf(scene, nodes[1])!];
  return texts.some((text) => text.includes('\0')) ? { why: 'binary' } : { texts };
}

/** What diff(1) says of each pair, without the names, by the pair's number: one process for all. */
async function unifiedDifferences(
  pairs: readonly (readonly [string, string])[],
): Promise<Map<number, string>> {
  if (pairs.length === 0) return new Map();
  await using directory = await TemporaryDirectory.create();
  for (const side of [0, 1] as const) {
    mkdirSync(join(directory.path, String(side)));
    for (const [index, texts] of pairs.entries())
      writeFileSync(join(directory.path, String(side), String(index)), Buffer.from(texts[side], 'latin1'), {
        mode: 0o600,
      });
  }
  const args = ['--unified', '--recursive', '--text', '--', '0', '1'];
  const { stdout } = await runCommand('diff', args, { cwd: directory.path, okStatuses: [0, 1] });
  // A line of a text never begins a line of the output: there is a blank, a sign or a backslash before it.
  const parts = stdout.split(/^diff .*\/([0-9]+)\n--- .*\n\+\+\+ .*\n/m).slice(1);
  return new Map(
    parts.flatMap((part, at) => (at % 2 === 0 ? [[Number(part), parts[at + 1]!.replace(/\n$/, '')]] : [])),
  );
}
