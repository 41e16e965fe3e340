import { describe, expect, it } from 'vitest';
import { seccompFilter } from './seccomp.ts';

const host = { capabilities: ['CAP_SYS_CHROOT'], architecture: 'x64', kernel: '6.1.0-13-amd64' };

describe('seccompFilter', () => {
  it('keeps the rules whose conditions hold', () => {
    const rule = (name: string, conditions: object): object => ({
      names: [name],
      action: 'SCMP_ACT_ALLOW',
      args: [],
      ...conditions,
    });
    const profile = {
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 38,
      archMap: [
        { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] },
        { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: ['SCMP_ARCH_ARM'] },
      ],
      syscalls: [
        rule('always', {}),
        rule('with', { includes: { caps: ['CAP_SYS_CHROOT'] } }),
        rule('without', { excludes: { caps: ['CAP_SYS_CHROOT'] } }),
        rule('lacks', { includes: { caps: ['CAP_SYS_ADMIN'] } }),
        rule('here', { includes: { arches: ['amd64', 'x32'] } }),
        rule('elsewhere', { includes: { arches: ['arm64'] } }),
        rule('old', { includes: { minKernel: '4.8' } }),
        rule('new', { includes: { minKernel: '6.2' } }),
      ],
    };
    const filter = seccompFilter(profile as Parameters<typeof seccompFilter>[0], host);
    expect(filter).toEqual({
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 38,
      architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
      syscalls: ['always', 'with', 'here', 'old'].map((name) => ({
        names: [name],
        action: 'SCMP_ACT_ALLOW',
      })),
    });
  });

  it('keeps arguments and error numbers', () => {
    const args = [{ index: 0, value: 8, valueTwo: 0, op: 'SCMP_CMP_EQ' }];
    const rule = { names: ['personality'], action: 'SCMP_ACT_ERRNO', errnoRet: 1, args };
    const profile = { defaultAction: 'SCMP_ACT_ERRNO', syscalls: [rule] };
    expect(seccompFilter(profile, host)?.syscalls).toEqual([rule]);
  });

  it('gives none for an architecture that it does not know', () => {
    const profile = { defaultAction: 'SCMP_ACT_ERRNO', syscalls: [] };
    expect(seccompFilter(profile, { ...host, architecture: 'mips' })).toBeUndefined();
  });
});
