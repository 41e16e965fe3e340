import type { DriftPackage } from './package-changes.ts';

interface Manager {
  install: (words: string) => string[];
  remove: (words: string) => string[];
  replace: (words: string) => string[];
  /** A package in just this version. */
  pinned: (name: string, version: string) => string;
}

const apt = 'DEBIAN_FRONTEND=noninteractive apt-get';

const managers: Record<DriftPackage['manager'], Manager> = {
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
export function packageLines(packages: readonly DriftPackage[], { pin }: { pin: boolean }): string[] {
  const named = packages.filter(({ name }) => NAME.test(name));
  return Object.entries(managers).flatMap(([manager, own]) => {
    const all = named.filter((one) => one.manager === manager);
    const added = all.filter(({ kind }) => kind === 'added');
    const asked = added.filter(({ automatic }) => !automatic);
    // What came for the sake of one that is not meant comes for its own.
    const installed = asked.length > 0 ? asked : added;
    return [
      ...step(
        all.filter(({ kind }) => kind === 'removed'),
        { run: own.remove, word: ({ name }) => name },
      ),
      ...step(installed, { run: own.install, word: (one) => wordOf(own, one, pin) }),
      ...step(
        all.filter(({ from, to }) => from !== null && to !== null),
        { run: own.replace, word: (one) => wordOf(own, one, pin) },
      ),
    ];
  });
}

function wordOf(manager: Manager, { name, to }: DriftPackage, pin: boolean): string {
  return pin && to !== null && /^[A-Za-z0-9+.:~_-]+$/.test(to) ? manager.pinned(name, to) : name;
}

function step(
  packages: readonly DriftPackage[],
  { run, word }: { run: (words: string) => string[]; word: (one: DriftPackage) => string },
): string[] {
  if (packages.length === 0) return [];
  const versions = packages.map(
    ({ name, from, to }) => `${name} ${[from, to].filter((version) => version !== null).join(' -> ')}`,
  );
  return [`# ${versions.join(', ')}`, `RUN ${run(packages.map(word).join(' ')).join(' \\\n && ')}`];
}
