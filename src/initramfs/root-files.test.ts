import { describe, expect, it } from 'vitest';
import { initramfsCrypttab } from './root-files.ts';

const crypttab = `# <target name> <source device> <key file> <options>
root   UUID=1111  none  luks,discard
data   UUID=2222  /etc/keys/data  luks
early  /dev/vdb   none  luks,x-initrd.attach
debian\tUUID=3333\tnone\tluks,initramfs
swap   UUID=4444  /dev/urandom  swap,initramfs
`;

describe('the crypttab of the initramfs', () => {
  it('has what the root or /usr is mounted from, and what is marked for it', () => {
    expect(initramfsCrypttab(crypttab, '/dev/mapper/root / ext4 defaults 0 1\n')).toBe(
      'root UUID=1111 none luks,discard\nearly /dev/vdb none luks,x-initrd.attach\ndebian UUID=3333 none luks,initramfs\n',
    );
    expect(initramfsCrypttab('usr UUID=1 none luks', '/dev/mapper/usr /usr ext4 ro 0 2')).toBe(
      'usr UUID=1 none luks\n',
    );
  });

  it('has nothing of a system that has no such disk', () => {
    expect(initramfsCrypttab('data UUID=2 /key luks', 'UUID=1 / ext4 defaults 0 1')).toBe('');
    expect(initramfsCrypttab('', '')).toBe('');
  });
});
