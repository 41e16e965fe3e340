import type { Effect } from './effects.ts';
import { copiesOf, type Finding, type Scene } from './finding.ts';
import { forbiddenBits } from './secret.ts';
import { showName } from './show.ts';
import type { FileFacts } from './tree.ts';

/** Modes, owners and capabilities of the top layer that take away what the image has, or give away what is secret. */
export function attributeFindings(scene: Scene, effects: readonly Effect[]): Finding[] {
  return [
    ...directoryFindings(scene, effects),
    ...copiesOf(scene).flatMap((step) => fileFindings(scene, step)),
  ];
}

/** Of a directory of the image: the top layer's mode and owner win, for all that is in it. */
function directoryFindings({ after }: Scene, effects: readonly Effect[]): Finding[] {
  return effects.flatMap((effect): Finding[] => {
    if (effect.action !== 'alter' || after.at(effect.place)?.entry?.facts.kind !== 'directory') return [];
    return [
      {
        level: 'warning',
        code: 'directory-attributes',
        path: showName(effect.path),
        message: `the image's directory gets the top layer's attributes: ${effect.what.join(', ')}`,
        hint: 'give it those of the image: imgboot toplayer diff shows them',
      },
    ];
  });
}

function fileFindings(scene: Scene, { entry, place }: ReturnType<typeof copiesOf>[number]): Finding[] {
  const { facts } = entry;
  if (facts.kind !== 'file') return [];
  const old = scene.before.at(place)?.image;
  const path = showName(entry.path);
  const findings: Finding[] = [];
  const add = (code: string, message: string, hint: string): void => {
    findings.push({ level: 'warning', code, path, message, hint });
  };
  const forbidden = forbiddenBits(place);
  if ((facts.mode & forbidden) !== 0)
    add(
      'open-secret',
      `it is secret, and its mode is ${octal(facts)}`,
      `chmod ${(facts.mode & ~forbidden).toString(8)}`,
    );
  if (old?.kind !== 'file') return findings;
  if (forbidden === 0 && (old.mode & 0o004) === 0 && (facts.mode & 0o004) !== 0)
    add('open-secret', `everybody may read it; the image's has mode ${octal(old)}`, `chmod ${octal(old)}`);
  const lost = old.mode & ~facts.mode & 0o6000;
  if (lost !== 0)
    add(
      'lost-setuid',
      `the image's has mode ${octal(old)}; this one, ${octal(facts)}, runs as who calls it`,
      `chmod ${octal(old)}`,
    );
  if ((old.mode & 0o111) !== 0 && (facts.mode & 0o111) === 0)
    add(
      'no-program',
      `the image's is a program (mode ${octal(old)}); this one, ${octal(facts)}, is none`,
      `chmod ${octal(old)}`,
    );
  const capability = 'security.capability';
  if (scene.image.xattrs(place).has(capability) && !scene.top.xattrs(entry.path).has(capability))
    add(
      'lost-capabilities',
      "the image's has file capabilities (getcap); this one has none",
      'setcap, or leave the file to the image',
    );
  return findings;
}

/** Attributes that overlayfs keeps for itself, of a top layer that was copied from an upper directory. */
export function overlayFindings(scene: Scene): Finding[] {
  return copiesOf(scene).flatMap(({ entry }): Finding[] => {
    const names = [...scene.top.allXattrs(entry.path).keys()].filter((name) =>
      name.startsWith('trusted.overlay.'),
    );
    return names.map((name) => ({
      level: 'warning',
      code: 'overlay-attribute',
      path: showName(entry.path),
      message: `it has ${showName(name)}, which is overlayfs's own: where the root is an overlay, the boot may stop at it`,
      hint: `setfattr -h -x ${showName(name)}`,
    }));
  });
}

function octal({ mode }: FileFacts): string {
  return mode.toString(8);
}
