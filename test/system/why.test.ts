import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deployImage } from '../../src/deploy/deploy.ts';
import type { SubjectChoice } from '../../src/origin/subject.ts';
import { why, type Origin, type Stop } from '../../src/origin/why.ts';
import { bootRoot } from '../support/boot-root.ts';
import { makeBaseTar } from '../support/build-fixtures.ts';
import { stagedRequest } from '../support/deploy-host.ts';
import { writeTree } from '../support/file-tree.ts';
import { build } from '../support/run-build.ts';
import { runCliAsNobody } from '../support/run-cli.ts';
import { drivers, storeFilesystem, type StoreFilesystem, type TestStore } from '../support/test-store.ts';

const packages = (...names: string[]): string =>
  names
    .map((name) => `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n`)
    .join('\n');

// Layers: 1 the base, 2 COPY root/, 3 RUN one, 4 COPY etc/, 5 RUN two, 6 RUN three.
const dockerfile = `FROM base:1
COPY root/ /
ENV A=b
RUN set -e; echo run > /etc/run; echo changed > /opt/data/one; rm /opt/data/sub/two; mkdir -p /srv/a/b; \\
  echo x > /srv/a/b/x; ln -s /etc/run /etc/link; ln -s away /etc/dangling; ln -s loop /etc/loop; \\
  echo 'tab	and blank' > '/srv/a name'; echo later > /srv/later; echo same > /srv/same; touch -d @5 /srv/same; \\
  chmod 600 /etc/owned; ln /etc/run /etc/hard; touch '/etc/back\\x2dslash' "$(printf '/etc/caf\\351')"
COPY etc/ /etc/
LABEL c=d
RUN rm -r /srv/a /usr/lib/old; echo changed > /srv/later; echo same > /srv/same; touch -d @5 /srv/same
RUN chmod 640 /etc/motd; chown 7:8 /etc/motd; mkdir -p /usr/lib/old; echo new > /usr/lib/old/new; \\
  touch -d @9 /etc/copied; rm /opt/data/link; mkdir /opt/data/link
`;

const context = {
  Dockerfile: dockerfile,
  'root/boot/vmlinuz-1.0': Buffer.alloc(1 << 20, 'kernel'),
  'root/usr/lib/modules/1.0/modules.dep': '',
  'root/sbin/init': '#!/bin/sh\n',
  'root/etc/owned': 'owned\n',
  'root/etc/replaced': 'image\n',
  'root/etc/removed': 'image\n',
  'root/etc/changed': 'image\n',
  'root/etc/unlinked': 'image\n',
  'root/etc/dropped/one': 'image\n',
  'root/etc/dropped/two': 'image\n',
  'root/home/user/image': 'image\n',
  'root/var/lib/dpkg/status': packages('owner', 'tools', 'gone'),
  'root/var/lib/dpkg/info/owner.list': '/.\n/etc\n/etc/owned\n/etc/unlinked\n/lib/added\n',
  'root/var/lib/dpkg/info/tools.list': '/.\n/bin\n/bin/busybox\n/etc\n',
  'etc/motd': 'hello\n',
  'etc/copied': 'copied\n',
};

const topLayer = {
  'etc/top': 'top\n',
  'etc/replaced': 'top\n',
  'etc/.wh.removed': '',
  'etc/both': 'top\n',
  'srv/.wh.later': '',
};

const runtime = `
echo run > etc/runtime; echo more >> etc/changed; rm etc/unlinked; rm -r etc/dropped; echo mine > etc/both
mkdir -p var/new/deep; echo x > var/new/deep/file; chmod 755 etc/owned; echo home > home/user/mine
mkdir etc/dropped; echo back > etc/dropped/two; touch etc/machine-id`;

/** What is asked, and the lines of the answer. */
type Row = [asked: string, ...expected: string[]];

const image: Row[] = [
  // The base, COPY and RUN.
  ['/etc/passwd', '/etc/passwd file: 1, +1'],
  ['/var/log/a.log', '/var/log/a.log file: 1, +1'],
  ['/boot/vmlinuz-1.0', '/boot/vmlinuz-1.0 file: 2, +2'],
  ['/etc/owned', '/etc/owned file: 2, *3 mode, +2 [owner]'],
  ['/etc/run', '/etc/run file: 3, +3'],
  ['/etc/hard', '/etc/hard file: 3, +3'],
  ['/srv/a name', '/srv/a name file: 3, +3'],
  ['/etc/motd', '/etc/motd file: 4, *6 mode owner, +4'],
  ['/etc/copied', '/etc/copied file: 4, *6 time, +4'],
  ['/opt/data/one', '/opt/data/one file: 3, *3 content, +1'],
  ['/srv/later', '/srv/later file: 5, *5 content, +3'],
  // Written once more as it was.
  ['/srv/same', '/srv/same file: 3, +3'],
  // Directories.
  ['/etc', '/etc directory: 1, +1 [owner, tools]'],
  ['/srv', '/srv directory: 3, +3'],
  ['/usr/lib/old', '/usr/lib/old directory: 6, +6, -5, +1'],
  ['/', '/ directory: 1, +1'],
  // Deletions.
  ['/opt/data/sub/two', '/opt/data/sub/two gone: 3, -3, +1'],
  ['/srv/a/b/x', '/srv/a/b/x gone: 5, -5 with /srv/a, +3'],
  ['/srv/a', '/srv/a gone: 5, -5, +3'],
  ['/usr/lib/old/file', '/usr/lib/old/file gone: 5, -5 with /usr/lib/old, +1'],
  ['/usr/lib/old/new', '/usr/lib/old/new file: 6, +6'],
  // Links, of paths and of their directories.
  ['/etc/link', '/etc/link symlink: 3, +3', '/etc/run file: 3, +3'],
  ['/etc/dangling', '/etc/dangling symlink: 3, +3', '/etc/away nothing'],
  ['/etc/loop', '/etc/loop symlink: 3, +3'],
  ['/lib/modules/1.0/modules.dep', 'by /lib -> usr/lib', '/usr/lib/modules/1.0/modules.dep file: 2, +2'],
  ['/lib/old/file', 'by /lib -> usr/lib', '/usr/lib/old/file gone: 5, -5 with /usr/lib/old, +1'],
  ['/var/data/sub/../one', 'by /var/data -> /opt/data', '/opt/data/one file: 3, *3 content, +1'],
  ['/opt/data/link', '/opt/data/link directory: 6, *6 type, +1'],
  // A byte that is no text, and what only looks as if it stood for one.
  ['/etc/caf\\xe9', '/etc/caf\\xe9 file: 3, +3'],
  ['/etc/back\\x2dslash', '/etc/back\\\\x2dslash file: 3, +3'],
  ['/etc/back\\\\x2dslash', '/etc/back\\\\x2dslash file: 3, +3'],
  ['/bin/sh', '/bin/sh symlink: 1, +1', '/bin/busybox file: 1, +1 [tools]'],
  ['/../etc/../bin//busybox', '/bin/busybox file: 1, +1 [tools]'],
];

const deployed: Row[] = [
  // As in the image.
  ['/etc/passwd', '/etc/passwd file: 1, +1'],
  ['/srv/a', '/srv/a gone: 5, -5, +3'],
  // The top layer.
  ['/etc/top', '/etc/top file: top, +top'],
  ['/etc/replaced', '/etc/replaced file: top, *top content, +2'],
  ['/etc/removed', '/etc/removed gone: top, -top, +2'],
  ['/srv/later', '/srv/later gone: top, -top, *5 content, +3'],
  // What the system did.
  ['/etc/runtime', '/etc/runtime file: boot 1, +boot 1'],
  ['/etc/changed', '/etc/changed file: boot 1, *boot 1 content, +2'],
  ['/etc/both', '/etc/both file: boot 1, *boot 1 content, +top'],
  ['/etc/unlinked', '/etc/unlinked gone: boot 1, -boot 1, +2 [owner]'],
  ['/etc/dropped/one', '/etc/dropped/one gone: boot 1, -boot 1, +2'],
  ['/etc/dropped/two', '/etc/dropped/two file: boot 1, *boot 1 content, +2'],
  ['/etc/owned', '/etc/owned file: 2, *boot 1 mode, *3 mode, +2 [owner]'],
  ['/var/new/deep/file', '/var/new/deep/file file: boot 1, +boot 1'],
  ['/home/user/mine', '/home/user/mine file: persistent directory'],
  ['/home/user/image', '/home/user/image file: persistent directory'],
  ['/home', '/home directory: persistent directory'],
];

const latest: Row[] = [
  ['/etc/second', '/etc/second file: boot 2, +boot 2'],
  ['/etc/runtime', '/etc/runtime nothing'],
  ['/etc/unlinked', '/etc/unlinked file: 2, +2 [owner]'],
];

const persistent: Row[] = [
  ['/etc/passwd', '/etc/passwd file: 1, +1'],
  ['/etc/replaced', '/etc/replaced file: top, *top content, +2'],
  ['/etc/removed', '/etc/removed gone: top, -top, +2'],
  ['/etc/third', '/etc/third file: boot 3, +boot 3'],
  ['/etc/fourth', '/etc/fourth file: boot 4, +boot 4'],
  ['/etc/rewritten', '/etc/rewritten file: boot 4, +boot 4'],
  ['/etc/top', '/etc/top file: boot 4, *boot 4 content, +top'],
  // What is gone has no time.
  ['/etc/unlinked', '/etc/unlinked gone: a boot, -a boot, +2 [owner]'],
];

describe.each(drivers)('why, with the $driver driver', (driver) => {
  let filesystem: StoreFilesystem;
  let store: TestStore;

  beforeAll(async () => {
    filesystem = await storeFilesystem(driver);
    store = filesystem.store();
    const base = await makeBaseTar(filesystem.directory());
    await store.cliOk('import', ['-m', 'the base', base, 'base:1']);
    const directory = filesystem.directory('context');
    writeTree(directory, context);
    await build(store, { context: directory, references: ['desktop:latest'] });
    await deploy();
    const top = filesystem.directory('top');
    writeTree(top, topLayer);
    const boot = async (more: string, run: string): Promise<void> =>
      bootRoot(store.path, {
        version: 'desktop/1',
        words: `toplayer=${top} ${more}`,
        run: `${run}; sleep 0.3`,
      });
    await boot('', runtime);
    await boot('', 'echo 2 > etc/second');
    await boot('imgboot.writable=persistent', 'echo 3 > etc/third; echo 3 > etc/rewritten; rm etc/unlinked');
    await boot(
      'imgboot.writable=persistent',
      'echo 4 > etc/fourth; echo 4 > etc/rewritten; echo more >> etc/top',
    );
  });
  afterAll(async () => filesystem[Symbol.asyncDispose]());

  async function deploy(): Promise<void> {
    const boot = filesystem.directory('boot');
    mkdirSync(path.join(boot, 'loader/entries'), { recursive: true });
    const loader = 'systemd-boot' as const;
    const request = stagedRequest(boot, { reference: 'desktop', loader, directory: '/loader' });
    await deployImage(store.store, { ...request, persist: ['/home'] });
  }

  /** By path: what is there, who made it that, all that was done to it, and whose package it is; a line a stop. */
  async function ask(choice: SubjectChoice, rows: readonly Row[]): Promise<Map<string, string[]>> {
    const { answers } = await why(store.store, { ...choice, paths: rows.map(([asked]) => asked) });
    return new Map(
      answers.map(({ asked, through, stops }) => [
        asked,
        [
          ...through.map(({ path: link, target }) => `by ${link} -> ${target}`),
          ...stops.map((stop) => line(stop)),
        ],
      ]),
    );
  }

  describe.each([
    ['of the image', { name: 'desktop:latest', layer: undefined }, image],
    ['of the boot before the last into a fresh layer', { name: 'desktop', layer: 'previous' }, deployed],
    ['of what the last boot wrote to', { name: undefined, layer: undefined }, latest],
    ['of the persistent layer', { name: 'desktop/1', layer: 'persistent' }, persistent],
  ] as const)('%s', (_, choice, rows) => {
    let answers: Map<string, string[]>;
    beforeAll(async () => {
      answers = await ask(choice, rows);
    });

    it.each(rows)('%s', (asked, ...expected) => {
      expect(answers.get(asked)).toEqual(expected);
    });
  });

  it('is said in words', async () => {
    const said = await store.cliOk('why', ['desktop/1', '/lib/old/file']);
    expect(said).toBe(`/usr/lib/old/file (by /lib -> usr/lib): deleted
  by layer 5 of 6: RUN rm -r /srv/a /usr/lib/old; echo changed > /srv/later; echo same > /srv/same; touch -d @5 /srv/same
  added by layer 1 of 6: the base
`);
    const changed = await store.cliOk('why', ['--previous', '/etc/changed', '/etc/runtime']);
    expect(changed.replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d/g, 'WHEN'))
      .toBe(`/etc/changed: file, 11 B, mode 0644, owner 0:0
  from boot 1, WHEN, deployments/desktop/1/ephemeral.1
  added by layer 2 of 6: COPY root/ /
/etc/runtime: file, 4 B, mode 0644, owner 0:0
  from boot 1, WHEN, deployments/desktop/1/ephemeral.1
`);
    const top = await store.cliOk('why', ['/etc/replaced']);
    expect(top).toBe(`/etc/replaced: file, 4 B, mode 0644, owner 0:0
  from the top layer
  added by layer 2 of 6: COPY root/ /
`);
  });

  it('tells the layer, the instruction and the time as JSON', async () => {
    const answer = JSON.parse(
      await store.cliOk('why', ['desktop/1', '--previous', '/etc/changed', '--json']),
    ) as object;
    expect(answer).toMatchObject({
      kind: 'deployment',
      of: 'desktop/1',
      running: false,
      answers: [
        {
          asked: '/etc/changed',
          through: [],
          stops: [
            {
              path: '/etc/changed',
              is: { type: 'file', sizeBytes: 11 },
              by: {
                kind: 'boot',
                layer: 'deployments/desktop/1/ephemeral.1',
                boot: 1,
                time: expect.stringMatching(/^20\d\d-/) as string,
              },
              changes: [
                { kind: 'changed', aspects: ['content'] },
                {
                  kind: 'added',
                  by: {
                    kind: 'layer',
                    number: 2,
                    of: 6,
                    instruction: 'COPY root/ /',
                    digest: expect.stringMatching(/^sha256:/) as string,
                  },
                },
              ],
            },
          ],
        },
      ],
    });
  });

  it.each([
    [['desktop', '/no/such'], 'desktop/1 has no /no/such, and never had'],
    [['desktop', 'etc/passwd'], '"etc/passwd" is no absolute path'],
    [['desktop'], 'name at least one'],
    [['desktop', '--layer', 'ephemeral.9', '/etc'], 'no layer "ephemeral.9" is kept of desktop/1'],
    [['desktop', '/no', '/never'], 'desktop/1 has no /no, /never, and never had'],
    [['nothing', '/etc/passwd'], 'has no image nothing'],
    [['desktop', `/${'a'.repeat(300)}/b`], 'and never had'],
    [['desktop', Buffer.from('/caf\xe9', 'latin1').toString()], 'is not UTF-8'],
  ])('%j is refused', async (args, says) => {
    const { exitCode, stderr } = await store.cli('why', args);
    expect([exitCode, stderr]).toEqual([
      expect.toSatisfy((status) => status === 1 || status === 2),
      expect.stringContaining(says),
    ]);
  });

  it('needs root', async () => {
    const { exitCode, stderr } = await runCliAsNobody(['why', '--store', store.path, '/etc/passwd']);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('why needs root')]);
  });
});

function line({ path: at, is, by, changes, packages: owners }: Stop): string {
  const what = is === null ? (by === null ? 'nothing' : 'gone:') : `${is.type}:`;
  const marks = { added: '+', changed: '*', deleted: '-' } as const;
  const done = changes.map(({ kind, aspects, with: directory, by: who }) =>
    [
      `${marks[kind]}${name(who)}`,
      ...aspects,
      ...(directory === undefined ? [] : [`with ${directory}`]),
    ].join(' '),
  );
  const whose = owners.length === 0 ? '' : ` [${owners.map((owner) => owner.name).join(', ')}]`;
  return `${at} ${what}${by === null ? '' : ` ${[name(by), ...done].join(', ')}`}${whose}`;
}

function name(by: Origin): string {
  if (by.kind === 'layer') return String(by.number);
  if (by.kind === 'top layer') return 'top';
  if (by.kind === 'boot') return by.boot === null ? 'a boot' : `boot ${by.boot}`;
  return by.kind;
}
