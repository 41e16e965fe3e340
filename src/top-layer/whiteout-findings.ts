import type { Step } from './apply-plan.ts';
import type { Finding, Scene } from './finding.ts';
import { meaningOf, type TopEntry } from './scan.ts';
import { showName } from './show.ts';

/** Deletions of a top layer that delete nothing, or that are none. */
export function whiteoutFindings(scene: Scene): Finding[] {
  return [
    ...scene.steps.flatMap((step) => stepFindings(scene, step)),
    ...scene.entries.flatMap(entryFindings),
    ...scene.sockets.map((path): Finding => ({
      level: 'warning',
      code: 'socket',
      path: showName(path),
      message: 'a socket is not copied',
      hint: 'delete it: whoever listens there makes it anew',
    })),
  ];
}

function stepFindings({ entries }: Scene, step: Step): Finding[] {
  const path = showName(step.entry.path);
  if (step.kind === 'empty' && (step.gone ?? []).length === 0) {
    const what = step.gone === undefined ? 'is no directory of the image' : 'is empty in the image';
    return [
      {
        level: 'warning',
        code: 'nothing-to-empty',
        path,
        message: `what it is to empty ${what}`,
        hint: 'delete it from the top layer',
      },
    ];
  }
  if (step.kind !== 'delete') return [];
  const target = step.entry.path.replace(/\/\.wh\.([^/]*)$/, '/$1');
  if (step.gone === undefined)
    return [
      {
        level: 'warning',
        code: 'nothing-to-delete',
        path,
        message: `the image has no ${showName(target)}`,
        hint: 'delete it from the top layer, or correct its name',
      },
    ];
  const given = entries.find((entry) => entry.path === target);
  if (given === undefined || given.facts.kind === 'directory' || step.gone.kind === 'directory') return [];
  return [
    {
      level: 'note',
      code: 'needless-whiteout',
      path,
      message: `the top layer has ${showName(target)}, too, which replaces the image's anyway`,
      hint: 'delete one of the two',
    },
  ];
}

function entryFindings(entry: TopEntry): Finding[] {
  const { facts } = entry;
  const path = showName(entry.path);
  const name = entry.path.slice(entry.path.lastIndexOf('/') + 1);
  if (
    facts.kind === 'directory' &&
    name.startsWith('.wh.') &&
    !entry.path.slice(0, -name.length).includes('/.wh.')
  )
    return [
      {
        level: 'warning',
        code: 'whiteout-directory',
        path,
        message: 'a directory deletes nothing, and is not copied, with all that is in it',
        hint: 'an empty file of that name deletes',
      },
    ];
  if (facts.kind === 'file' && facts.sizeBytes > 0 && meaningOf(entry).kind === 'whiteout')
    return [
      {
        level: 'warning',
        code: 'whiteout-with-content',
        path,
        message: `it deletes ${showName(name.slice('.wh.'.length))}, and its own ${facts.sizeBytes} bytes are not copied`,
        hint: 'a file whose name begins with .wh. cannot be had by a top layer; empty it if it is to delete',
      },
    ];
  if (facts.kind === 'character' && facts.device.major === 0 && facts.device.minor === 0)
    return [
      {
        level: 'error',
        code: 'overlay-whiteout',
        path,
        message:
          "a character device 0:0 is overlayfs's own way to delete: where the root is an overlay, the boot stops at it",
        hint: `an empty file .wh.${showName(name)} deletes`,
      },
    ];
  return [];
}
