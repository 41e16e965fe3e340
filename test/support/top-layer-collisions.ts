import type { EntrySpec } from './tar-builder.ts';

/** An image, handmade, that has what the top layers below collide with. */
export const collidingImage: EntrySpec[] = [
  { path: 'usr/bin/sh', content: 'program', mode: 0o755 },
  { path: 'usr/bin/su', content: 'su', mode: 0o4755 },
  { path: 'usr/bin/ping', content: 'ping', mode: 0o755, xattrs: { 'security.capability': capability() } },
  { path: 'usr/lib/systemd/systemd', content: 'init', mode: 0o755 },
  { path: 'usr/lib/x', content: 'x' },
  { path: 'bin', type: 'symlink', link: 'usr/bin' },
  { path: 'sbin/', type: 'directory' },
  { path: 'sbin/init', type: 'symlink', link: '../usr/lib/systemd/systemd' },
  { path: 'lib', type: 'symlink', link: 'usr/lib' },
  { path: 'lib64/', type: 'directory' },
  { path: 'lib64/ld.so', content: 'loader', mode: 0o755 },
  {
    path: 'etc/passwd',
    content:
      'root:x:0:0::/root:/bin/sh\nsystem:x:101:101::/:/usr/sbin/nologin\nboth:x:102:102::/:/usr/sbin/nologin\n',
  },
  { path: 'etc/group', content: 'root:x:0:\nsystem:x:101:\nboth:x:102:\nshadow:x:42:\nusers:x:100:\n' },
  { path: 'etc/shadow', content: 'root:*:1::::::\n', mode: 0o640, gid: 42 },
  { path: 'etc/resolv.conf', type: 'symlink', link: '../run/resolv.conf' },
  { path: 'etc/app.d/', type: 'directory' },
  { path: 'etc/app.d/one', content: '1' },
  { path: 'etc/app.conf', content: 'a' },
  { path: 'etc/link.d', type: 'symlink', link: 'nowhere' },
  { path: 'etc/private', content: 'p', mode: 0o600 },
  { path: 'etc/localtime', content: 'zone' },
  { path: 'etc/empty/', type: 'directory' },
  { path: 'etc/fifo', type: 'fifo' },
  { path: 'etc/script', content: '#!/bin/sh\n', mode: 0o755 },
  { path: 'etc/gone', content: 'g' },
  { path: 'opt/dir/', type: 'directory' },
  { path: 'opt/dir/file', content: 'f' },
  { path: 'home/', type: 'directory' },
  { path: 'var/lib/', type: 'directory' },
];

/** `struct vfs_ns_cap_data`: cap_net_raw+ep. @see linux/capability.h */
function capability(): Buffer {
  const value = Buffer.alloc(20);
  value.writeUInt32LE(0x02000001, 0);
  value.writeUInt32LE(1 << 13, 4);
  return value;
}

/** A script that makes a top layer with all of {@link collisions}, in the directory that it runs in. */
export const collidingTop = `
mkdir -p etc/app.conf etc/link.d opt lib usr/lib usr/bin home/me var/lib/imgboot run proc etc/empty etc/new etc/.wh.dir
echo t > etc/app.d                                  # a file for a directory
ln -s ../etc opt/dir                                # a link for a directory
ln -s usr/lib lib64                                 # of a machine with a merged /usr
echo t > etc/resolv.conf                            # a file for a link
ln -s /etc/empty etc/localtime                      # a link for a file
echo t > etc/fifo                                   # a file for a pipe
echo 1 > lib/x; echo 2 > usr/lib/x                  # one place
echo t > usr/bin/su; chmod 755 usr/bin/su           # setuid is lost
cp -a usr/bin/su usr/bin/ping                       # capabilities are lost
echo t > etc/script                                 # no program any more
echo t > etc/private                                # open to all
echo t > etc/shadow.new; chmod 666 etc/shadow.new; mv etc/shadow.new etc/gshadow
touch etc/.wh...                                    # stops the boot
ln -s passwd etc/subuid                             # not merged
touch etc/.wh.never                                 # deletes nothing
touch etc/empty/.wh..wh..opq                        # empties nothing
touch etc/.wh.gone; echo t > etc/gone               # deleted, and given
echo t > etc/.wh.text                               # has content
touch etc/.wh.dir/x                                 # no file
echo t > etc/new/user; chown 4000:0 etc/new/user    # nobody
echo t > etc/new/group; chown 0:4000 etc/new/group
echo t > etc/new/acl; setfacl -m u:4001:r,g:4001:r etc/new/acl
chmod 700 etc                                       # shuts everybody out
ln -s /usr/lib/gone.service etc/new/dangling
echo t > home/me/key                                # below a persistent directory
echo t > run/x; echo t > var/lib/imgboot/x; echo t > proc/x
cat > etc/passwd << END
me:x:1000:1000::/home/me:/bin/zsh
twin:x:101:100::/:/bin/sh
both:*:202:102::/:/usr/sbin/nologin
short:x:1
END
echo 'twin:x:101:' > etc/group
echo 'twin:*:1::::::' > etc/shadow; chown 0:42 etc/shadow; chmod 640 etc/shadow
printf '/dev/x /data ext4 defaults 0 0\\n/dev/y /spare\\\\040disk ext4 noauto 0 0\\n' > etc/fstab
mkdir data 'spare disk'; echo t > data/x; echo t > 'spare disk/x'   # one is mounted over, the other not yet
ln -s '/spare disk/y' data/link
setfattr -n trusted.overlay.opaque -v y opt
`;

/** What collides, and where: `LEVEL CODE PATH`. */
export const collisions: string[] = [
  'error stops-the-boot /etc/.wh...',
  'warning account-not-merged /etc/subuid',
  'warning bad-account-line /etc/gshadow',
  'warning bad-account-line /etc/passwd',
  'warning changed-uid /etc/passwd',
  'warning dangling-link /etc/new/dangling',
  'warning directory-attributes /etc',
  'warning directory-for-file /etc/app.conf',
  'warning directory-for-link /etc/link.d',
  'warning file-for-directory /etc/app.d',
  'warning hidden-by-mount /data/link',
  'warning hidden-by-mount /proc/x',
  'warning hidden-by-mount /run/x',
  'warning hidden-by-mount /var/lib/imgboot/x',
  'warning hidden-by-persistent /home/me',
  'warning link-for-directory /opt/dir',
  'warning lost-capabilities /usr/bin/ping',
  'warning lost-setuid /usr/bin/su',
  'warning no-program /etc/script',
  'warning no-shadow /etc/passwd',
  'warning no-shell /etc/passwd',
  'warning nothing-to-delete /etc/.wh.never',
  'warning nothing-to-delete /etc/.wh.text',
  'warning nothing-to-empty /etc/empty/.wh..wh..opq',
  'warning open-secret /etc/gshadow',
  'warning open-secret /etc/private',
  'warning other-kind /etc/fifo',
  'warning overlay-attribute /opt',
  'warning same-place /lib/x',
  'warning shared-gid /etc/group',
  'warning shared-uid /etc/passwd',
  'warning socket /run/socket',
  'warning unknown-acl-group /etc/new/acl',
  'warning unknown-acl-user /etc/new/acl',
  'warning unknown-group /etc/new/group',
  'warning unknown-primary-group /etc/passwd',
  'warning unknown-user /etc/new/user',
  'warning usr-merge /lib64',
  'warning whiteout-directory /etc/.wh.dir',
  'warning whiteout-with-content /etc/.wh.text',
  'note file-for-link /etc/resolv.conf',
  'note link-for-file /etc/localtime',
  'note needless-whiteout /etc/.wh.gone',
];
