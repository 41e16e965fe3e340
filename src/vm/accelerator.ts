import { access, constants, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Accelerator } from './machine.ts';

export interface AcceleratorChoice {
  accelerator: Accelerator;
  /** Why, as the end of a sentence: "runs under tcg: /dev/kvm does not exist". */
  reason: string;
}

/** What a host shows about its virtualisation. */
export interface KvmFacts {
  /** /dev/kvm: absent, not ours to open, or open to us. */
  device: 'absent' | 'denied' | 'usable';
  /** The `flags` words of the first processor in /proc/cpuinfo. */
  cpuFlags: ReadonlySet<string>;
  /** Those of the kvm modules that the kernel has. */
  modules: ReadonlySet<'kvm_intel' | 'kvm_amd' | 'kvm_pvm'>;
}

/**
 * Decides in milliseconds whether a stock kernel really runs under this host's KVM.
 * `/dev/kvm` alone does not tell: a nested, pagetable-based KVM opens, runs the firmware, and then hangs the guest
 * at its first cmpxchg16b. Starts nothing; the same answer each time.
 */
export async function chooseAccelerator(): Promise<AcceleratorChoice> {
  return judgeKvm(await readKvmFacts());
}

/** The decision, from facts. */
export function judgeKvm({ device, cpuFlags, modules }: KvmFacts): AcceleratorChoice {
  if (device === 'absent') return tcg('this host has no /dev/kvm');
  if (device === 'denied') return tcg('/dev/kvm may not be opened by this user (the group kvm may)');
  if (modules.has('kvm_pvm')) return tcg('/dev/kvm is served by kvm_pvm, under which a stock kernel hangs');
  const vendor = cpuFlags.has('vmx') ? 'kvm_intel' : cpuFlags.has('svm') ? 'kvm_amd' : undefined;
  if (vendor === undefined) {
    return tcg('/dev/kvm exists, but the processor shows neither vmx nor svm, so a stock kernel would hang');
  }
  if (!modules.has(vendor)) return tcg(`/dev/kvm exists, but ${vendor} is not loaded`);
  return { accelerator: 'kvm', reason: `/dev/kvm works (${vendor})` };
}

function tcg(reason: string): AcceleratorChoice {
  return { accelerator: 'tcg', reason };
}

/** Reads the facts of the host whose file system is at `root`. */
export async function readKvmFacts(root = '/'): Promise<KvmFacts> {
  const modules = new Set<'kvm_intel' | 'kvm_amd' | 'kvm_pvm'>();
  for (const name of ['kvm_intel', 'kvm_amd', 'kvm_pvm'] as const) {
    // Loaded and built-in modules alike have a directory here.
    if (await exists(path.join(root, 'sys/module', name))) modules.add(name);
  }
  return {
    device: await deviceState(path.join(root, 'dev/kvm')),
    cpuFlags: await readCpuFlags(root),
    modules,
  };
}

async function deviceState(device: string): Promise<KvmFacts['device']> {
  if (!(await exists(device))) return 'absent';
  try {
    await access(device, constants.R_OK | constants.W_OK);
    return 'usable';
  } catch {
    return 'denied';
  }
}

async function readCpuFlags(root: string): Promise<Set<string>> {
  const text = await readFile(path.join(root, 'proc/cpuinfo'), 'utf8').catch(() => '');
  const line = /^flags\s*:(.*)$/m.exec(text)?.[1] ?? '';
  return new Set(line.trim().split(/\s+/));
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
