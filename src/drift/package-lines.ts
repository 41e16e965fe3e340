import type { PackageChange } from './package-changes.ts';

type Named = Pick<PackageChange, 'kind' | 'name' | 'version' | 'before' | 'manager' | 'automatic'>;

interface Manager {
  install: (words: string) => string[];
  remove: (words: string) => string[];
  replace: (words: string) => string[];
  /** A package in just this version. */
  pinned: (name: string, version: string) => string;
}

const apt = 'DEBIAN_FRONTEND=noninteractive apt-get';

const managers: Record<PackageChange['manager'], Manager> = {
  dpkg: {
    install: (words) => ['apt-get update', `${apt} install -y ${words}`, 'rm -rf /var/lib/apt/lists/*'],
    remove: (words) => [`${apt} purge -y ${words}`],
    replace: (words) => [
      'apt-get update',
      `${apt} install -y --only-upgrade --allow-downgrades ${words}`,
      'rm -rf /var/lib/apt/lists/*',
    ],
    pinned: (name, version) => `${name}=${version}`,
  },
  apk: {
    install: (words) => [`apk add --no-cache ${words}`],
    remove: (words) => [`apk del --no-cache ${words}`],
    replace: (words) => [`apk add --no-cache --upgrade ${words}`],
    pinned: (name, version) => `${name}=${version}`,
  },
  pacman: {
    install: (words) => [`pacman -Sy --noconfirm --needed ${words}`],
    remove: (words) => [`pacman -R --noconfirm ${words}`],
    replace: (words) => [`pacman -Sy --noconfirm ${words}`],
    pinned: (name) => name,
  },
  rpm: {
    install: (words) => [`dnf -y install ${words}`, 'dnf clean all'],
    remove: (words) => [`dnf -y remove ${words}`],
    replace: (words) => [`dnf -y upgrade ${words}`, 'dnf clean all'],
    pinned: (name, version) => `${name}-${version}`,
  },
};

/** What makes a name safe in a shell: all that package managers allow. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9+._-]*$/;

/**
 * Lines of a Dockerfile that have an image's own package manager do what was done on a machine. What came for another
 * one's sake comes by itself. Pure.
 * @param options `pin`: in just these versions
 */
export function packageLines(packages: readonly Named[], { pin }: { pin: boolean }): string[] {
  const named = packages.filter(({ name }) => NAME.test(name));
  return Object.entries(managers).flatMap(([manager, own]) => {
    const of = (kind: PackageChange['kind']): Named[] =>
      named.filter((one) => one.manager === manager && one.kind === kind);
    const installed = of('installed').filter(({ automatic }) => !automatic);
    return [
      ...step(of('removed'), { run: own.remove, word: ({ name }) => name }),
      ...step(installed, { run: own.install, word: (one) => wordOf(own, one, pin) }),
      ...step(of('replaced'), { run: own.replace, word: (one) => wordOf(own, one, pin) }),
    ];
  });
}

function wordOf(manager: Manager, { name, version }: Named, pin: boolean): string {
  return pin && /^[A-Za-z0-9+.:~_-]+$/.test(version) ? manager.pinned(name, version) : name;
}

function step(
  packages: readonly Named[],
  { run, word }: { run: (words: string) => string[]; word: (one: Named) => string },
): string[] {
  if (packages.length === 0) return [];
  const versions = packages.map(({ name, version, before }) =>
    before === undefined ? `${name} ${version}` : `${name} ${before} -> ${version}`,
  );
  return [`# ${versions.join(', ')}`, `RUN ${run(packages.map(word).join(' ')).join(' \\\n && ')}`];
}
