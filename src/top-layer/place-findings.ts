import type { Step } from './apply-plan.ts';
import { copiesOf, firstOf, isProgram, textIn, type Finding, type Scene } from './finding.ts';
import type { NewRoot } from './new-root.ts';
import { showName } from './show.ts';

/** Where the boot mounts something over what the root has. */
const mounted = ['/proc', '/sys', '/dev', '/run', '/var/lib/imgboot'] as const;

/** Places whose content comes into being when the system runs. */
const runtime = ['/proc', '/sys', '/dev', '/run', '/tmp', '/var/tmp', '/mnt', '/media'] as const;

const inits = ['/sbin/init', '/etc/init', '/bin/init'] as const;

/** What nobody sees, links that lead nowhere, and an init that is gone. */
export function placeFindings(scene: Scene): Finding[] {
  return [
    ...mounted.flatMap((path) => hidden(scene, path, mountHint(path))),
    ...fstabPlaces(scene, 'at boot').flatMap((path) => hidden(scene, path, fstabHint(path))),
    ...scene.persist.flatMap((path) => hidden(scene, path, persistentHint(path))),
    ...danglingLinks(scene),
    ...lostInit(scene),
  ];
}

interface Hiding {
  code: string;
  why: string;
  hint: string;
}

function mountHint(path: string): Hiding {
  return {
    code: 'hidden-by-mount',
    why: `something is mounted over ${path} at boot`,
    hint: 'delete it from the top layer; systemd-tmpfiles (etc/tmpfiles.d) makes files there',
  };
}

function fstabHint(path: string): Hiding {
  return {
    code: 'hidden-by-mount',
    why: `etc/fstab has something mounted over ${showName(path)}`,
    hint: 'put it into what is mounted there, or take the line out of etc/fstab',
  };
}

function persistentHint(path: string): Hiding {
  return {
    code: 'hidden-by-persistent',
    why: `${showName(path)} is a persistent directory of the deployment`,
    hint: 'put it into the persistent directory itself, which every version has',
  };
}

function hidden(scene: Scene, path: string, { code, why, hint }: Hiding): Finding[] {
  const found = scene.after.resolve(path);
  const place = found.kind === 'found' ? found.node.place : path;
  const paths = copiesOf(scene)
    .filter((step) => step.place.startsWith(`${place}/`))
    .map(({ entry }) => entry.path);
  if (paths.length === 0) return [];
  const message = `${firstOf(paths)}: nobody sees it, since ${why}`;
  return [{ level: 'warning', code, path: showName(paths[0]!), message, hint }];
}

/** Where the new root's fstab mounts something, or would if it were asked to. @see fstab(5) */
function fstabPlaces(scene: Scene, when: 'at boot' | 'ever'): string[] {
  const lines = (textIn(scene, 'after', '/etc/fstab') ?? '')
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  return lines.flatMap(([device = '', place = '', , options = '']) => {
    if (device === '' || device.startsWith('#') || !/^\/[^/]/.test(place)) return [];
    if (when === 'at boot' && options.split(',').includes('noauto')) return [];
    const unescaped = place.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    return [unescaped.replace(/\/+$/, '')];
  });
}

function danglingLinks(scene: Scene): Finding[] {
  const exempt = [...runtime, ...scene.persist, ...fstabPlaces(scene, 'ever')];
  return copiesOf(scene).flatMap(({ entry, place }): Finding[] => {
    if (entry.facts.kind !== 'symlink' || scene.after.at(place)?.entry !== entry) return [];
    const found = scene.after.resolve(place);
    if (found.kind === 'found') return [];
    if (found.kind === 'missing' && exempt.some((one) => isIn(scene.after, found.place, one))) return [];
    const why =
      found.kind === 'missing' ? `${showName(found.place)} is not there` : 'it leads through no directory';
    return [
      {
        level: 'warning',
        code: 'dangling-link',
        path: showName(entry.path),
        message: `the link to ${showName(entry.facts.linkTarget)} leads nowhere in this image: ${why}`,
        hint: 'install what it is for in the image, or delete the link',
      },
    ];
  });
}

function isIn(root: NewRoot, place: string, path: string): boolean {
  const found = root.resolve(path);
  const directory = found.kind === 'found' ? found.node.place : path;
  return place === directory || place.startsWith(`${directory}/`);
}

function isAbove(place: string | undefined, path: string): boolean {
  return place !== undefined && `${path}/`.startsWith(`${place}/`);
}

function placeLength(step: Step | undefined): number {
  return step !== undefined && 'place' in step ? (step.place ?? '').length : 0;
}

/** The image has an init, and with the top layer it has none. */
function lostInit({ before, after, steps }: Scene): Finding[] {
  const init = inits.find((path) => isProgram(before, path));
  if (init === undefined || inits.some((path) => isProgram(after, path))) return [];
  const was = before.resolve(init);
  const place = was.kind === 'found' ? was.node.place : init;
  // What is nearest to it: the directories above are copied, too.
  const cause = steps
    .filter((step) => 'place' in step && [init, place].some((path) => isAbove(step.place, path)))
    .reduce<Step | undefined>(
      (best, step) => (placeLength(step) > placeLength(best) ? step : best),
      undefined,
    );
  return [
    {
      level: 'error',
      code: 'no-init',
      path: showName(cause?.entry.path ?? init),
      message: `it takes away the image's ${init}, and there is no other`,
      hint: 'leave it to the image',
    },
  ];
}
