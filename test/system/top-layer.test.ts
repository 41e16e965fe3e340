import { mkdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyScript } from '../support/apply-top-layer.ts';
import { hookLibrary } from '../support/hook-shells.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

const shells: Record<string, string[]> = { dash: ['dash'], 'busybox ash': ['busybox', 'ash'] };

describe.each(Object.entries(shells))('a top layer, applied by %s,', (_, shell) => {
  let work: TemporaryDirectory;
  beforeEach(async () => {
    work = await TemporaryDirectory.create();
    for (const directory of ['top', 'root/usr/lib', 'root/etc', 'outside']) {
      await mkdir(path.join(work.path, directory), { recursive: true });
    }
    await symlink('usr/lib', path.join(work.path, 'root/lib'));
  });
  afterEach(async () => work[Symbol.asyncDispose]());

  /** Runs shell commands in the test's directory, to set things up or look at them. */
  async function sh(script: string): Promise<string> {
    return (await execa('sh', ['-euc', script], { cwd: work.path, env: { LC_ALL: 'C' } })).stdout;
  }
  async function applyTop(pinned?: string): Promise<{ stdout: string; stderr: string; exitCode?: number }> {
    const [top, root] = [path.join(work.path, 'top'), path.join(work.path, 'root')];
    const args = [hookLibrary, work.path, top, root, ...(pinned === undefined ? [] : [pinned])];
    return execa(
      'unshare',
      ['--mount', '--propagation', 'private', ...shell, '-c', applyScript, 'sh', ...args],
      {
        reject: false,
        env: { LC_ALL: 'C' },
      },
    );
  }
  async function expectApplied(): Promise<string> {
    const { stdout, stderr } = await applyTop();
    expect(stderr).toBe('');
    // Nothing of how it was done is left.
    expect(await sh('ls -A root | grep imgboot || :')).toBe('');
    return stdout;
  }

  it('arrives with all that a file can have', async () => {
    await sh(`cd top; mkdir -p opt/new
      echo hidden > .hidden; echo a > opt/new/a; ln opt/new/a opt/new/b; ln -s ../nowhere opt/link
      chown 1234:4321 opt/new/a; chmod 4751 opt/new/a
      setfattr -n user.color -v red opt/new/a; setfattr -n trusted.x -v 1 opt/new
      setfacl -m u:77:r opt/new/a; setfacl -d -m g:88:rx opt/new
      cp /bin/true opt/cap; setcap cap_net_raw+ep opt/cap
      mkfifo opt/fifo; mknod opt/null c 1 3; printf x > "opt/two
lines"; touch "opt/-x *"
      touch -d '2001-02-03 04:05:06.123456789' opt/new/a; touch -h -d @5 opt/link; touch -d @7 opt/new
      chmod 2770 opt/new`);
    await expectApplied();
    const facts = `find . -mindepth 1 ! -path ./etc ! -path './usr*' ! -path ./lib ! -path ./opt -printf '%p %y %m %U:%G %T@ %s %n %l\\n' | sort
      getfattr -R -h -d -m - . 2> /dev/null; cat opt/new/a; stat -c '%t,%T' opt/null; [ opt/new/a -ef opt/new/b ]`;
    expect(await sh(`cd root; ${facts}`)).toBe(await sh(`cd top; ${facts}`));
  });

  it('has the digest that GNU tar and sha256sum give it, whenever it is measured', async () => {
    await sh(
      `cd top; mkdir -p etc lost+found; echo 1 > etc/a; echo 2 > etc/b; setfattr -n user.k -v v etc/a; echo no > lost+found/x`,
    );
    const digest = await sh(`cd top; find . -mindepth 1 ! -path './lost+found*' -print0 | sort -z > ../list
      tar --create --format=posix --pax-option='exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime' --numeric-owner \
        --xattrs --xattrs-include='*' --acls --no-recursion --null --files-from=../list | sha256sum | cut -d ' ' -f 1`);
    expect(await expectApplied()).toBe(`sha256:${digest} 2`);
    await sh('cat top/etc/a > /dev/null; touch -a -d @99 top/etc/a');
    expect(await expectApplied()).toBe(`sha256:${digest} 2`);
    await sh('chmod 600 top/etc/a');
    expect(await expectApplied()).not.toContain(digest);
    expect(await sh('ls root')).toBe('etc\nlib\nusr');
  });

  it('has the same digest wherever accounts have names', async () => {
    // GNU tar before 1.35 writes the names of accounts into ACLs, and root is one everywhere.
    await sh('touch top/a; setfacl -m u:0:r,g:0:r top/a; mkdir top/d; setfacl -d -m u:0:rx top/d');
    const digest = await expectApplied();
    const numbers = await sh('getfacl --numeric --omit-header root/a root/d');
    expect(numbers).toBe(await sh('getfacl --numeric --omit-header top/a top/d'));
    // Nobody has a name where there is nothing else.
    const nameless = `mkdir nameless nameless/top; for file in /usr/bin/tar $(ldd /usr/bin/tar | grep -o '/[^ ]*'); do
        cp --parents "$file" nameless; done
      mount --bind top nameless/top; cd top; find . -mindepth 1 -print0 | sort -z |
      chroot ../nameless /usr/bin/tar --create --directory=/top --format=posix --numeric-owner --no-recursion \
        --pax-option='exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime' \
        --xattrs --xattrs-include='*' --acls --null --files-from=- | sha256sum | cut -d ' ' -f 1`;
    const { stdout } = await execa(
      'unshare',
      ['--mount', '--propagation', 'private', 'sh', '-euc', nameless],
      { cwd: work.path, env: { LC_ALL: 'C' } },
    );
    expect(digest).toBe(`sha256:${stdout} 1`);
  });

  it('of another digest than it should have is not applied', async () => {
    await sh('echo 1 > top/a');
    const { stderr, exitCode } = await applyTop(`sha256:${'0'.repeat(64)}`);
    expect(exitCode).toBe(3);
    expect(stderr).toContain('checking the top layer against toplayer.digest=');
    expect(await sh('ls root')).toBe('etc\nlib\nusr');
  });

  it('follows a directory link of the image, and replaces other links', async () => {
    await sh(`mkdir -p top/lib top/etc top/srv root/srv root/data
      echo top > top/lib/x; echo image > root/usr/lib/y
      ln -s ../outside/victim root/etc/leaf; echo image > root/data/target; ln -s ../data/target root/srv/inside
      echo outside > outside/victim; echo top > top/etc/leaf; echo top > top/srv/inside`);
    await expectApplied();
    expect(await sh('readlink root/lib; cat root/usr/lib/x root/usr/lib/y')).toBe('usr/lib\ntop\nimage');
    expect(await sh('cat root/etc/leaf root/srv/inside root/data/target outside/victim')).toBe(
      'top\ntop\nimage\noutside',
    );
  });

  it("cannot leave the root by the image's links, to write or to delete", async () => {
    await sh(`echo keep > outside/keep; mkdir outside/dir; echo keep > outside/dir/keep
      mkdir -p top/a top/b top/c/d top/e root/real root/c
      ln -s "$PWD/outside" root/a; ln -s ../../../../../../../../..$PWD/outside root/b; ln -s ../../outside root/c/d
      ln -s /real root/e
      for d in a b c/d e; do echo top > top/$d/new; touch top/$d/.wh.keep top/$d/.wh.dir; done
      mkdir top/a/dir; touch top/a/dir/.wh..wh..opq`);
    const before = await sh('find outside -exec stat -c "%n %Y %i" {} + | sort');
    // In the root's own view these lead to nothing, so there is nothing outside to touch.
    await expectApplied();
    expect(await sh('find outside -exec stat -c "%n %Y %i" {} + | sort')).toBe(before);
    expect(await sh('cat root/real/new')).toBe('top');
  });

  it("does not run the image's code, nor wait for its pipes", async () => {
    await sh(`mkdir -p root/usr/bin root/bin top/etc; for tool in tar sh rm busybox mv; do
        printf '#!/bin/sh\\ntouch /ran\\n' > root/bin/$tool; chmod +x root/bin/$tool; done
      printf 'root:x:0:0::/:/bin/sh\\n' > top/etc/passwd; mkfifo root/etc/passwd; mkfifo root/etc/x; echo x > top/etc/x
      echo /evil.so > root/etc/ld.so.preload; echo junk > root/evil.so
      mkdir -p root/lib64; echo junk > root/usr/lib/libc.so.6; echo junk > root/lib64/ld-linux-x86-64.so.2`);
    await expectApplied();
    expect(await sh('cat root/etc/passwd root/etc/x root/etc/ld.so.preload; ls root/ran 2>&1 || :')).toBe(
      "root:x:0:0::/:/bin/sh\nx\n/evil.so\nls: cannot access 'root/ran': No such file or directory",
    );
  });

  it('deletes what .wh. names name, and empties what is opaque', async () => {
    await sh(`mkdir -p root/usr/share/doc/a root/opt/old/deep root/opt/kept top/usr/share/doc top/opt/old
      touch root/usr/share/doc/a/x root/usr/share/doc/y root/opt/old/deep/z root/etc/gone root/opt/kept/k
      ln -s kept root/opt/link; ln -s "$PWD/outside" root/opt/away
      mkdir -p top/etc; touch top/etc/.wh.gone top/etc/.wh.never top/usr/share/.wh.doc2 top/usr/share/doc/.wh.a
      touch top/opt/.wh.link top/opt/.wh.away top/opt/old/.wh..wh..opq; echo new > top/opt/old/new`);
    await expectApplied();
    expect(await sh('cd root; find usr/share opt etc | sort')).toBe(
      ['etc', 'opt', 'opt/kept', 'opt/kept/k', 'opt/old', 'opt/old/new']
        .concat(['usr/share', 'usr/share/doc', 'usr/share/doc/y'])
        .join('\n'),
    );
  });

  it.each([
    ['.wh.', 'names nothing'],
    ['etc/.wh..', 'names nothing'],
    ['etc/.wh...', 'names nothing'],
    ['.wh..wh..opq', 'would delete the whole image'],
  ])('with %s is refused', async (name, reason) => {
    await sh(`mkdir -p top/etc; touch 'top/${name}' root/etc/kept`);
    const { stderr, exitCode } = await applyTop();
    expect(exitCode).toBe(3);
    expect(stderr).toContain(reason);
    expect(await sh('ls root/etc')).toBe('kept');
  });

  it('replaces a directory by a file, and a file by a directory', async () => {
    await sh(`mkdir -p root/opt/dir/deep top/opt/file; touch root/opt/dir/deep/x; touch root/opt/file
      echo now > top/opt/dir; echo now > top/opt/file/x`);
    await expectApplied();
    expect(await sh('cat root/opt/dir root/opt/file/x')).toBe('now\nnow');
  });

  describe('merges account files by name,', () => {
    beforeEach(async () => {
      await sh(`mkdir -p top/etc; printf 'root:x:0:0::/root:/bin/sh\\nnew:x:999:999::/:/bin/false\\n' > root/etc/passwd
        printf 'shadow:*:1::::::\\n' > root/etc/shadow
        printf 'me:x:1000:1000::/home/me:/bin/sh\\nroot:x:0:0:r:/root:/bin/sh\\n' > top/etc/passwd
        printf 'me:secret:1::::::\\n' > top/etc/shadow; chmod 640 top/etc/shadow; chown 0:42 top/etc/shadow
        touch -d @1000 top/etc/shadow`);
    });

    it("so that the image's new users and the machine's own are there", async () => {
      await expectApplied();
      expect(await sh('cut -d: -f1,5 root/etc/passwd')).toBe('root:r\nnew:\nme:');
      expect(await sh('cut -d: -f1 root/etc/shadow; stat -c "%a %u:%g %Y" root/etc/shadow')).toBe(
        'shadow\nme\n640 0:42 1000',
      );
    });

    it('through a link of the image, without writing where it leads', async () => {
      await sh(
        'mkdir root/usr/share; mv root/etc/passwd root/usr/share/; ln -s /usr/share/passwd root/etc/passwd',
      );
      await expectApplied();
      expect(await sh('cut -d: -f1 root/etc/passwd; stat -c %F root/etc/passwd')).toBe(
        'root\nnew\nme\nregular file',
      );
      expect(await sh('cut -d: -f1 root/usr/share/passwd')).toBe('root\nnew');
    });

    it('unless the marker file asks for plain replacement', async () => {
      await sh('touch top/.imgboot-replace-accounts');
      await expectApplied();
      expect(await sh('cut -d: -f1 root/etc/passwd; ls -A root')).toBe('me\nroot\netc\nlib\nusr');
    });
  });

  it('that does not fit is a failure', async () => {
    await sh('head -c 3000000 /dev/urandom > top/big');
    const onSmallRoot = 'mount -t tmpfs -o size=1m none "$1/root"; shift; exec "$@"';
    const { stderr, exitCode } = await execa(
      'unshare',
      [
        '--mount',
        '--propagation',
        'private',
        'sh',
        '-euc',
        onSmallRoot,
        'sh',
        work.path,
        ...shell,
        '-c',
        applyScript,
        'sh',
      ].concat([hookLibrary, work.path, path.join(work.path, 'top'), path.join(work.path, 'root')]),
      { reject: false, env: { LC_ALL: 'C' } },
    );
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/applying the top layer: \.\/big: (Wrote only|No space left)/);
  });
});
