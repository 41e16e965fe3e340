import { parseAccounts } from './account-files.ts';
import { copiesOf, firstOf, textIn, type Finding, type Scene } from './finding.ts';
import { showName } from './show.ts';
import { namedInAcl } from '../layer/acl.ts';
import { ACCESS_ACL, DEFAULT_ACL } from '../layer/attributes.ts';

/** Owners of the top layer's files that the new root has no account for. */
export function ownerFindings(scene: Scene): Finding[] {
  const owners = new Owners();
  for (const { entry, through } of copiesOf(scene)) {
    // What a link leads to keeps its own owner.
    if (through !== undefined) continue;
    owners.add('user', entry.facts.uid, entry.path);
    owners.add('group', entry.facts.gid, entry.path);
    const xattrs = scene.top.xattrs(entry.path);
    for (const name of [ACCESS_ACL, DEFAULT_ACL]) {
      const { users, groups } = namedInAcl(xattrs.get(name) ?? Buffer.alloc(0));
      for (const id of users) owners.add('ACL user', id, entry.path);
      for (const id of groups) owners.add('ACL group', id, entry.path);
    }
  }
  const known = {
    user: knownIds(scene, { file: '/etc/passwd', ranges: '/etc/subuid' }),
    group: knownIds(scene, { file: '/etc/group', ranges: '/etc/subgid' }),
  };
  return owners.list().flatMap(({ kind, id, paths }): Finding[] => {
    const which = kind.endsWith('user') ? 'user' : 'group';
    if (known[which](id)) return [];
    const file = which === 'user' ? 'passwd' : 'group';
    const number = which === 'user' ? 'uid' : 'gid';
    const does = kind.startsWith('ACL') ? 'is named by the ACL of' : 'owns';
    return [
      {
        level: 'warning',
        code: kind.startsWith('ACL') ? `unknown-acl-${which}` : `unknown-${which}`,
        path: showName(paths[0]!),
        message: `${number} ${id} ${does} ${firstOf(paths)}, and no ${which} has it, neither in the image nor in the top layer`,
        hint: `give them another owner (chown), or put the ${which} into etc/${file} of the top layer`,
      },
    ];
  });
}

class Owners {
  readonly #paths = new Map<string, string[]>();

  add(kind: 'user' | 'group' | 'ACL user' | 'ACL group', id: number, path: string): void {
    const key = `${kind}:${id}`;
    const paths = this.#paths.get(key);
    if (paths === undefined) this.#paths.set(key, [path]);
    // An ACL may name somebody twice.
    else if (paths.at(-1) !== path) paths.push(path);
  }

  list(): { kind: string; id: number; paths: string[] }[] {
    return [...this.#paths].map(([key, paths]) => {
      const [kind, id] = key.split(':') as [string, string];
      return { kind, id: Number(id), paths };
    });
  }
}

/** Whether somebody has a number: 0, an account, or one of the ranges that accounts have for their containers. */
function knownIds(scene: Scene, { file, ranges }: { file: string; ranges: string }): (id: number) => boolean {
  const ids = new Set(
    parseAccounts(textIn(scene, 'after', file) ?? '').map(({ fields }) => Number(fields[2] ?? Number.NaN)),
  );
  const spans = parseAccounts(textIn(scene, 'after', ranges) ?? '').map(({ fields }) => ({
    first: Number(fields[1] ?? Number.NaN),
    count: Number(fields[2] ?? Number.NaN),
  }));
  return (id) =>
    id === 0 || ids.has(id) || spans.some(({ first, count }) => id >= first && id < first + count);
}
