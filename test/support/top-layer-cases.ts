/** A top layer over an image, each made by a script in a directory of its own, and what it comes to. */
export interface TopLayerCase {
  title: string;
  /** Runs in the case's directory of the image; `$c` is its name, so that `/$c` is that directory. */
  image: string;
  /** Runs in the case's directory of the top layer. */
  top: string;
  /** `ACTION PATH`, what differs in brackets; by path. */
  effects: string[];
  /** `LEVEL CODE PATH` of what collides. */
  findings?: string[];
}

const add = (...paths: string[]): string[] => paths.map((path) => `add ${path}`);

/** Of the root itself: what has only one place. */
export const topLayerAtRoot: Pick<TopLayerCase, 'image' | 'top' | 'effects'> = {
  image: `mkdir etc usr; printf 'root:x:0:0::/root:/bin/sh\\nimage:x:99:99::/:\\n' > usr/passwd; ln -s ../usr/passwd etc/passwd
    printf 'root:x:0:\\nimage:x:99:\\n' > etc/group; mkfifo etc/shadow; printf 'me:1:2\\n' > etc/subuid`,
  top: `mkdir etc lost+found; printf 'me:x:1000:1000::/home/me:/bin/sh\\n' > etc/passwd; printf 'me:x:1000:\\n' > etc/group
    printf 'me:*:1::::::\\n' > etc/shadow; chmod 640 etc/shadow; printf 'me:1:2\\n' > etc/subuid; touch lost+found/x`,
  effects: [
    'same etc',
    'merge etc/group (content)',
    'merge etc/passwd (symlink to file)',
    'replace etc/shadow (fifo to file)',
    'same etc/subuid (time)',
  ],
};

/** What does not stop a boot. */
export const topLayerCases: TopLayerCase[] = [
  {
    title: 'what is new is added',
    image: 'mkdir d; echo i > d/i',
    top: 'mkdir d n; echo t > d/t; echo t > n/.hidden; ln -s ../d n/link; mkfifo n/fifo',
    effects: ['same d', ...add('d/t', 'n', 'n/.hidden', 'n/fifo', 'n/link')],
  },
  {
    title: 'another content replaces',
    image: 'echo i > f; echo longer > g',
    top: 'echo t > f; echo short > g',
    effects: ['replace f (content)', 'replace g (content)'],
  },
  {
    title: 'the same content stays, whatever its time',
    image: 'echo same > f; touch -d @5 f; ln -s f l; touch -h -d @5 l',
    top: 'echo same > f; touch -d @9 f; ln -s f l; touch -h -d @5 l',
    effects: ['same f (time)', 'same l'],
  },
  {
    title: 'modes, owners and attributes alter',
    image:
      'echo s > mode; echo s > owner; echo s > color; setfattr -n user.color -v red color; echo s > acl; setfacl -m u:0:r acl',
    top: 'echo s > mode; chmod 640 mode; echo s > owner; chown 0:42 owner; echo s > color; setfattr -n user.color -v blue color; echo s > acl',
    effects: [
      'alter acl (ACL)',
      'alter color (user.color)',
      'alter mode (mode 644 to 640)',
      'alter owner (owner 0:0 to 0:42)',
    ],
    findings: ['warning unknown-group owner'],
  },
  {
    title: "a directory of the image gets the top layer's attributes, and keeps its own extended ones",
    image:
      'mkdir d e; setfattr -n user.i -v 1 d; setfacl -m u:0:rx d; setfacl -d -m u:0:rx d; chmod 755 d; echo i > d/i',
    top: 'mkdir -m 700 d; mkdir e; chown 0:7 e; setfattr -n user.t -v 1 d; echo t > d/t',
    effects: ['alter d (mode 755 to 700, ACL, ACL, user.t)', ...add('d/t'), 'alter e (owner 0:0 to 0:7)'],
    findings: ['warning directory-attributes d', 'warning directory-attributes e', 'warning unknown-group e'],
  },
  {
    title: 'a link to a directory is followed inside the root',
    image: `mkdir -p usr/lib real; chmod 711 real; ln -s usr/lib lib; ln -s /$c/real abs
      ln -s ../../../../../../$c/real up; ln -s lib chain`,
    top: 'mkdir -m 700 lib abs up chain; touch lib/x abs/a up/u chain/c',
    effects: ['same real', ...add('real/a', 'real/u'), 'same usr/lib', ...add('usr/lib/c', 'usr/lib/x')],
  },
  {
    title: 'a link that leads to no directory gives way to one',
    image: 'ln -s nowhere dangling; ln -s file leaf; touch file; ln -s loop loop; ln -s /outside out',
    top: 'mkdir dangling leaf loop out; touch dangling/d leaf/l loop/o out/u',
    effects: [
      'replace dangling (symlink to directory)',
      ...add('dangling/d'),
      'replace leaf (symlink to directory)',
      ...add('leaf/l'),
      'replace loop (symlink to directory)',
      ...add('loop/o'),
      'replace out (symlink to directory)',
      ...add('out/u'),
    ],
    findings: ['dangling', 'leaf', 'loop', 'out'].map((name) => `warning directory-for-link ${name}`),
  },
  {
    title: 'a file gives way to a directory',
    image: 'echo i > d',
    top: 'mkdir d; touch d/t',
    effects: ['replace d (file to directory)', ...add('d/t')],
    findings: ['warning directory-for-file d'],
  },
  {
    title: 'a directory gives way to a file, with all that is in it',
    image: 'mkdir -p d/deep; touch d/deep/x d/y',
    top: 'echo t > d',
    effects: ['replace d (directory to file)'],
    findings: ['warning file-for-directory d'],
  },
  {
    title: 'a directory gives way to a link, with all that is in it',
    image: 'mkdir -p lib/deep usr/lib; touch lib/deep/x',
    top: 'mkdir -p usr/lib; ln -s usr/lib lib; touch usr/lib/t',
    effects: ['replace lib (directory to symlink)', 'same usr', 'same usr/lib', ...add('usr/lib/t')],
    findings: ['warning link-for-directory lib'],
  },
  {
    title: 'a link is replaced, and not followed',
    image: 'echo i > target; ln -s target leaf; mkdir dir; ln -s dir todir; ln -s a other',
    top: 'echo t > leaf; echo t > todir; ln -s target other',
    effects: [
      'replace leaf (symlink to file)',
      'replace other (link a to target)',
      'replace todir (symlink to file)',
    ],
    findings: ['note file-for-link leaf', 'note file-for-link todir'],
  },
  {
    title: 'a file gives way to a link',
    image: 'echo i > f; echo i > target',
    top: 'ln -s target f',
    effects: ['replace f (file to symlink)'],
    findings: ['note link-for-file f'],
  },
  {
    title: 'devices and pipes replace, and are replaced',
    image: 'echo i > f; mkfifo p; mknod z c 1 5; mknod n c 1 3',
    top: 'mkfifo f; echo t > p; mknod z c 1 7; mknod n c 1 3',
    effects: [
      'replace f (file to fifo)',
      'same n (time)',
      'replace p (fifo to file)',
      'replace z (device 1:5 to 1:7)',
    ],
    findings: ['warning other-kind f', 'warning other-kind p'],
  },
  {
    title: 'a whiteout deletes a file, a directory, and a link but not what it leads to',
    image:
      'echo i > f; mkdir -p d/deep; touch d/deep/x; mkdir kept; touch kept/k; ln -s kept link; ln -s / out',
    top: 'touch .wh.f .wh.d .wh.link .wh.out',
    effects: ['delete d (directory)', 'delete f (file)', 'delete link (symlink)', 'delete out (symlink)'],
  },
  {
    title: 'a whiteout of nothing deletes nothing',
    image: 'mkdir d; ln -s nowhere dangling',
    top: 'mkdir d n dangling; touch .wh.no d/.wh.no n/.wh.no dangling/.wh.no',
    effects: ['same d', 'replace dangling (symlink to directory)', ...add('n')],
    findings: [
      'warning directory-for-link dangling',
      ...['.wh.no', 'd/.wh.no', 'dangling/.wh.no', 'n/.wh.no'].map(
        (path) => `warning nothing-to-delete ${path}`,
      ),
    ],
  },
  {
    title: 'an opaque directory has nothing of the image',
    image: 'mkdir -p d/deep; touch d/deep/x d/y d/both',
    top: 'mkdir d; touch d/.wh..wh..opq d/t; echo t > d/both',
    effects: [
      'same d',
      'replace d/both (content)',
      'delete d/deep (directory)',
      ...add('d/t'),
      'delete d/y (file)',
    ],
  },
  {
    title: 'a directory is emptied through a link',
    image: 'mkdir real; touch real/x; ln -s real link',
    top: 'mkdir link; touch link/.wh..wh..opq',
    effects: ['same real', 'delete real/x (file)'],
  },
  {
    title: 'a directory is emptied from inside, whatever leads there',
    image: 'ln -s . self; touch a z',
    top: 'mkdir self; touch self/.wh..wh..opq',
    effects: ['delete a (file)', 'replace self (symlink to directory)', 'delete z (file)'],
  },
  {
    title: 'a link that is replaced by what it leads to is a directory then',
    image: 'ln -s . self',
    top: 'mkdir self; echo t > self/self',
    effects: ['replace self (symlink to directory)', ...add('self/self')],
    findings: ['note file-for-link self/self'],
  },
  {
    title: 'nothing is emptied where there is nothing',
    image: 'mkdir empty',
    top: 'mkdir empty new; touch empty/.wh..wh..opq new/.wh..wh..opq',
    effects: ['same empty', ...add('new')],
    findings: ['warning nothing-to-empty empty/.wh..wh..opq', 'warning nothing-to-empty new/.wh..wh..opq'],
  },
  {
    title: 'a directory that is deleted and given has what is given',
    image: 'mkdir -p d/deep d/gone; touch d/deep/x d/y d/deep/both; chmod 700 d',
    top: 'touch .wh.d; mkdir -p d/deep; touch d/t d/deep/both',
    effects: [
      'alter d (mode 700 to 755)',
      'same d/deep',
      'same d/deep/both (time)',
      'delete d/deep/x (file)',
      'delete d/gone (directory)',
      ...add('d/t'),
      'delete d/y (file)',
    ],
    findings: ['warning directory-attributes d'],
  },
  {
    title: 'a whiteout beside what it deletes is needless',
    image: 'echo i > f',
    top: 'echo t > f; touch .wh.f',
    effects: ['replace f (content)'],
    findings: ['note needless-whiteout .wh.f'],
  },
  {
    title: 'a whiteout is led by a link to a directory',
    image: 'mkdir -p usr/lib; touch usr/lib/x; ln -s usr/lib lib',
    top: 'mkdir lib; touch lib/.wh.x',
    effects: ['same usr/lib', 'delete usr/lib/x (file)'],
  },
  {
    title: 'a link that is deleted leads nowhere any more',
    image: 'mkdir -p usr/lib; touch usr/lib/x usr/lib/y; ln -s usr/lib lib',
    top: 'touch .wh.lib; mkdir lib; touch lib/.wh.y lib/x',
    effects: ['replace lib (symlink to directory)', ...add('lib/x')],
    findings: ['warning nothing-to-delete lib/.wh.y'],
  },
  {
    title: 'what comes to one place comes in the order of the names',
    image: 'mkdir -p usr/lib; ln -s usr/lib lib',
    top: 'mkdir -p lib usr/lib; echo 1 > lib/x; echo 2 > usr/lib/x; echo l > lib/one; ln lib/one usr/lib/one; mkdir lib/d; echo f > usr/lib/d',
    effects: ['same usr', 'same usr/lib', ...add('usr/lib/d', 'usr/lib/one', 'usr/lib/x')],
    findings: ['warning same-place lib/one', 'warning same-place lib/x'],
  },
  {
    title: 'a link of the top layer leads what comes after it',
    image: 'mkdir a b u; ln -s b d; ln -s b z; ln -s u o; rmdir u',
    top: 'ln -s a o; mkdir d z; touch d/x z/x; mkdir q; rmdir q; rm o; ln -s a b.new; mv b.new o',
    effects: ['same b', ...add('b/x'), 'replace o (link u to a)'],
    findings: ['warning same-place d/x'],
  },
  {
    title: 'a link gives way before what it leads to is there',
    image: 'ln -s new before; ln -s new zafter',
    top: 'mkdir before new zafter; touch before/x zafter/x',
    effects: ['replace before (symlink to directory)', ...add('before/x', 'new', 'new/x')],
    findings: ['warning directory-for-link before'],
  },
  {
    title: 'names may have any byte',
    image: `touch 'a b' -- -x "$(printf 'lf\\nx')" "$(printf 'high\\377')"; mkdir "$(printf 'dir\\377')"; touch "$(printf 'dir\\377')/x"`,
    top: `echo t > 'a b'; echo t > ./-x; echo t > "$(printf 'lf\\nx')"; touch "$(printf '.wh.high\\377')"; mkdir "$(printf 'dir\\377')"; echo t > "$(printf 'dir\\377')/x"; touch 'back\\slash' x.wh.y`,
    effects: [
      'replace -x (content)',
      'replace a b (content)',
      'add back\\\\slash',
      'same dir\\xff',
      'replace dir\\xff/x (content)',
      'delete high\\xff (file)',
      'replace lf\\x0ax (content)',
      'add x.wh.y',
    ],
  },
  {
    title: 'a directory whose name begins with .wh. is not copied',
    image: 'mkdir -p .wh.d/sub kept',
    top: 'mkdir -p .wh.d/x; touch .wh.d/x/y .wh.d/sub; mkdir kept; touch kept/.wh.file.txt; echo content > kept/.wh.full',
    effects: [
      'skip .wh.d',
      'delete .wh.d/sub (directory)',
      'skip .wh.d/sub',
      'skip .wh.d/x',
      'skip .wh.d/x/y',
      'same kept',
    ],
    findings: [
      'warning file-for-directory .wh.d/sub',
      'warning nothing-to-delete kept/.wh.file.txt',
      'warning nothing-to-delete kept/.wh.full',
      'warning whiteout-directory .wh.d',
      'warning whiteout-with-content kept/.wh.full',
    ],
  },
  {
    title: 'programs keep what makes them programs',
    image:
      'cp /bin/true su; chmod 4755 su; cp /bin/true ping; setcap cap_net_raw+ep ping; echo x > run; chmod 755 run; echo s > secret; chmod 600 secret',
    top: 'cp /bin/true su; chmod 755 su; cp /bin/true ping; chmod 755 ping; echo x > run; echo s > secret',
    effects: [
      'alter ping (security.capability)',
      'alter run (mode 755 to 644)',
      'alter secret (mode 600 to 644)',
      'alter su (mode 4755 to 755)',
    ],
    findings: [
      'warning lost-capabilities ping',
      'warning lost-setuid su',
      'warning no-program run',
      'warning open-secret secret',
    ],
  },
  {
    title: 'a link that leads nowhere is told',
    image: 'mkdir d; touch d/there',
    top: `ln -s d/there good; ln -s d/gone bad; ln -s /proc/self/mounts proc; ln -s ../../run/x run; ln -s /dev/null null; ln -s round round
      mkdir sub; touch sub/own; ln -s sub/own own; ln -s d/there/x through`,
    effects: add('bad', 'good', 'null', 'own', 'proc', 'round', 'run', 'sub', 'sub/own', 'through'),
    findings: ['warning dangling-link bad', 'warning dangling-link round', 'warning dangling-link through'],
  },
];
