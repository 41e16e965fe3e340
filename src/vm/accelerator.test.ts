import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { judgeKvm, readKvmFacts, type KvmFacts } from './accelerator.ts';

describe('judgeKvm', () => {
  const intel = facts('usable', ['vmx'], ['kvm_intel']);
  it.each([
    ['an Intel host with KVM', intel, 'kvm'],
    ['an AMD host, or a guest with nested svm', facts('usable', ['svm'], ['kvm_amd']), 'kvm'],
    ['no /dev/kvm', { ...intel, device: 'absent' as const }, 'tcg'],
    ['a /dev/kvm of another user', { ...intel, device: 'denied' as const }, 'tcg'],
    ['pagetable-based KVM: no vmx, no svm', facts('usable', [], ['kvm_pvm']), 'tcg'],
    ['pagetable-based KVM hidden in the kernel', facts('usable', [], []), 'tcg'],
    ['kvm_pvm beside a vendor flag', facts('usable', ['vmx'], ['kvm_intel', 'kvm_pvm']), 'tcg'],
    ['a vendor flag without its module', facts('usable', ['vmx'], ['kvm_amd']), 'tcg'],
  ])('%s', (_host, given, accelerator) => {
    expect(judgeKvm(given).accelerator).toBe(accelerator);
  });
});

describe('readKvmFacts', () => {
  const roots: string[] = [];
  afterEach(async () => {
    for (const root of roots.splice(0)) await rm(root, { recursive: true });
  });

  it('reads device, flags and modules of a host', async () => {
    const root = await mkdtemp(path.join(tmpdir(), 'imgboot-test-'));
    roots.push(root);
    for (const dir of ['dev', 'proc', 'sys/module/kvm_amd']) {
      await mkdir(path.join(root, dir), { recursive: true });
    }
    await writeFile(path.join(root, 'dev/kvm'), '');
    await writeFile(
      path.join(root, 'proc/cpuinfo'),
      'processor\t: 0\nflags\t\t: fpu svm sse\n\nflags\t: vmx\n',
    );
    expect(await readKvmFacts(root)).toEqual({
      device: 'usable',
      cpuFlags: new Set(['fpu', 'svm', 'sse']),
      modules: new Set(['kvm_amd']),
    });
  });
});

function facts(
  device: KvmFacts['device'],
  cpuFlags: string[],
  modules: ('kvm_intel' | 'kvm_amd' | 'kvm_pvm')[],
): KvmFacts {
  return { device, cpuFlags: new Set(cpuFlags), modules: new Set(modules) };
}
