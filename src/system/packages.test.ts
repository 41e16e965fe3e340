import { describe, expect, it } from 'vitest';
import { installCommand, packageManagerOf } from './packages.ts';

describe('packageManagerOf', () => {
  it.each([
    ['Debian', 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n', 'apt'],
    ['Linux Mint, which is like Ubuntu', 'ID=linuxmint\nID_LIKE="ubuntu debian"\n', 'apt'],
    ['Arch', 'ID=arch\n', 'pacman'],
    ['Manjaro', 'ID=manjaro\nID_LIKE=arch\n', 'pacman'],
    ['Fedora', 'NAME="Fedora Linux"\nID=fedora\n', 'dnf'],
    ['Rocky', 'ID="rocky"\nID_LIKE="rhel centos fedora"\n', 'dnf'],
    ['a distribution that we do not know', 'ID=void\n', undefined],
    ['a file that says nothing', '', undefined],
  ])('%s', (_name, osRelease, manager) => {
    expect(packageManagerOf(osRelease)).toBe(manager);
  });
});

describe('installCommand', () => {
  it.each([
    ['apt', 'apt-get install --yes --no-install-recommends a b'],
    ['pacman', 'pacman --sync --needed --noconfirm a b'],
    ['dnf', 'dnf install --assumeyes --setopt=install_weak_deps=False a b'],
  ] as const)('%s asks nothing', (manager, command) => {
    expect(installCommand(manager, ['a', 'b']).join(' ')).toBe(command);
  });
});
