import { expect, it } from 'vitest';
import type { DriftPackage } from './package-changes.ts';
import { packageLines } from './package-lines.ts';

const one = (name: string, more: Partial<DriftPackage> = {}): DriftPackage => ({
  kind: 'added',
  name,
  from: null,
  to: '1:2.0-3',
  architecture: 'all',
  manager: 'dpkg',
  automatic: false,
  ...more,
});

const gone = { kind: 'removed', from: '1:2.0-3', to: null } as const;

it.each<[string, DriftPackage[], boolean, string]>([
  ['none', [], false, ''],
  [
    'those that were asked for',
    [one('htop'), one('libhtop', { automatic: true }), one('vim')],
    false,
    `# htop 1:2.0-3, vim 1:2.0-3
RUN apt-get update \\
 && DEBIAN_FRONTEND=noninteractive apt-get install -y htop vim \\
 && rm -rf /var/lib/apt/lists/*`,
  ],
  [
    'one alone that came for the sake of another',
    [one('libhtop', { automatic: true, manager: 'apk' })],
    false,
    '# libhtop 1:2.0-3\nRUN apk add --no-cache libhtop',
  ],
  [
    'in just these versions',
    [one('htop')],
    true,
    `# htop 1:2.0-3
RUN apt-get update \\
 && DEBIAN_FRONTEND=noninteractive apt-get install -y htop=1:2.0-3 \\
 && rm -rf /var/lib/apt/lists/*`,
  ],
  [
    'what went, for its own sake or not',
    [one('nano', gone), one('libnano', { ...gone, automatic: true })],
    false,
    `# nano 1:2.0-3, libnano 1:2.0-3
RUN DEBIAN_FRONTEND=noninteractive apt-get purge -y nano libnano`,
  ],
  [
    'newer ones',
    [one('sed', { kind: 'upgraded', from: '1:1.0', automatic: true })],
    false,
    `# sed 1:1.0 -> 1:2.0-3
RUN apt-get update \\
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --only-upgrade --allow-downgrades sed \\
 && rm -rf /var/lib/apt/lists/*`,
  ],
  ['those of apk', [one('htop', { manager: 'apk' })], false, '# htop 1:2.0-3\nRUN apk add --no-cache htop'],
  [
    'those of pacman',
    [one('htop', { manager: 'pacman' })],
    false,
    '# htop 1:2.0-3\nRUN pacman -Sy --noconfirm --needed htop',
  ],
  [
    'those of rpm',
    [one('htop', { manager: 'rpm' })],
    true,
    '# htop 1:2.0-3\nRUN dnf -y install htop-1:2.0-3 \\\n && dnf clean all',
  ],
  ['no name that a shell would read', [one('a;reboot'), one('-rf')], false, ''],
])('packages in a Dockerfile: %s', (_, packages, pin, text) => {
  expect(packageLines(packages, { pin }).join('\n')).toBe(text);
});
