import type { Step } from './apply-plan.ts';
import { copiesOf, type Finding, type Scene } from './finding.ts';
import { showName } from './show.ts';
import type { FileKind } from './tree.ts';

/** Top-level directories that a merged /usr makes links. */
const usrMerged = /^\/(?:bin|sbin|lib|lib32|lib64|libx32)$/;

const words: Record<FileKind, string> = {
  file: 'a file',
  directory: 'a directory',
  symlink: 'a symbolic link',
  character: 'a character device',
  block: 'a block device',
  fifo: 'a named pipe',
  socket: 'a socket',
};

/** Where the top layer has another kind of file than the image, or two of its files come to one place. */
export function typeFindings(scene: Scene): Finding[] {
  return [
    ...scene.steps.flatMap((step) => (step.kind === 'way' ? lostDirectory(step) : [])),
    ...copiesOf(scene).flatMap((step) => changedKind(scene, step)),
    ...samePlaces(scene),
    ...scene.steps.flatMap((step) => (step.kind === 'refuse' ? refusal(step) : [])),
  ];
}

/** A directory of the image, with all that is in it, gives way. */
function lostDirectory({ entry, place }: Extract<Step, { kind: 'way' }>): Finding[] {
  const isLink = entry.facts.kind === 'symlink';
  const path = showName(entry.path);
  const what = `the image's directory ${showName(place)}, with all that is in it, gives way to ${words[entry.facts.kind]}`;
  if (isLink && usrMerged.test(place))
    return [
      {
        level: 'warning',
        code: 'usr-merge',
        path,
        message: `${what}: the top layer is of a machine with a merged /usr, and the image has none`,
        hint: `delete ${path} from the top layer; what belongs to it goes to ${path}/ there`,
      },
    ];
  return [
    {
      level: 'warning',
      code: isLink ? 'link-for-directory' : 'file-for-directory',
      path,
      message: what,
      hint: 'if that is meant, delete the directory by name: .wh.NAME beside it',
    },
  ];
}

function changedKind(scene: Scene, step: Extract<Step, { kind: 'copy' }>): Finding[] {
  const { entry, place, through } = step;
  const { kind } = entry.facts;
  const over = through ?? step.over;
  const path = showName(entry.path);
  if (over === undefined || over.kind === kind) return [];
  const hint = 'make it what the image has, or delete that by name: .wh.NAME beside it';
  if (kind === 'directory') {
    if (through !== undefined) return [];
    const leads = over.kind === 'symlink' ? `, which leads to ${leadsTo(scene, place)},` : '';
    return [
      {
        level: 'warning',
        code: over.kind === 'symlink' ? 'directory-for-link' : 'directory-for-file',
        path,
        message: `${words[over.kind]} of the image${leads} gives way to a directory`,
        hint,
      },
    ];
  }
  if (over.kind === 'symlink' && kind === 'file')
    return [
      {
        level: 'note',
        code: 'file-for-link',
        path,
        message: `the image has a symbolic link to ${showName(over.linkTarget)} there, which is replaced, and not followed`,
        hint: 'nothing is to be done if that is meant',
      },
    ];
  if (over.kind === 'file' && kind === 'symlink')
    return [
      {
        level: 'note',
        code: 'link-for-file',
        path,
        message: `a file of the image gives way to a symbolic link to ${showName(entry.facts.linkTarget)}`,
        hint: 'nothing is to be done if that is meant',
      },
    ];
  if (over.kind === 'directory') return [];
  return [
    {
      level: 'warning',
      code: 'other-kind',
      path,
      message: `${words[over.kind]} of the image gives way to ${words[kind]}`,
      hint,
    },
  ];
}

function leadsTo({ before }: Scene, place: string): string {
  const found = before.resolve(place);
  if (found.kind === 'found') return `no directory (${showName(found.node.place)})`;
  return found.kind === 'missing' ? `nothing (${showName(found.place)})` : 'nothing';
}

/** `lib/x` and `usr/lib/x`, where the image has `lib -> usr/lib`. */
function samePlaces(scene: Scene): Finding[] {
  const copies = copiesOf(scene).filter(({ entry }) => entry.facts.kind !== 'directory');
  const byPlace = Map.groupBy(copies, ({ place }) => place);
  return [...byPlace].flatMap(([place, steps]): Finding[] => {
    if (steps.length < 2) return [];
    const paths = steps.map(({ entry }) => showName(entry.path));
    return [
      {
        level: 'warning',
        code: 'same-place',
        path: paths[0]!,
        message: `${paths.join(' and ')} come to one place in this image, ${showName(place)}; the last one stays`,
        hint: `keep one of them, at ${showName(place)}`,
      },
    ];
  });
}

function refusal({ entry, why }: Extract<Step, { kind: 'refuse' }>): Finding[] {
  return [
    {
      level: 'error',
      code: 'stops-the-boot',
      path: showName(entry.path),
      message: `the boot stops: ${why}`,
      hint: 'take it out of the top layer',
    },
  ];
}
