import { access, constants, readFile, stat } from 'node:fs/promises';
import { release } from 'node:os';
import path from 'node:path';
import { loadKoffi } from './koffi.ts';
import type { KernelFeature, Requirement } from './requirements.ts';

export interface CheckResult {
  present: boolean;
  /** Where it is, or why not, in a few words. */
  detail: string;
}

/** What `chooseAccelerator` says; passed in, because this room knows nothing of virtual machines. */
export interface HostContext {
  kvm: CheckResult;
}

/** Looks whether this host meets a requirement. Changes nothing: loads no module and starts no program. */
export async function checkRequirement(requirement: Requirement, host: HostContext): Promise<CheckResult> {
  switch (requirement.kind) {
    case 'program':
      return checkPrograms(requirement.anyOf);
    case 'files':
      return checkFiles(requirement.anyOf);
    case 'library':
      return checkLibrary(requirement.soname);
    case 'kernel':
      return checkKernel(requirement.feature, host);
    default:
      return requirement satisfies never;
  }
}

async function checkPrograms(names: readonly string[]): Promise<CheckResult> {
  const version = await cgroupVersion();
  const notes: string[] = [];
  for (const name of names) {
    const found = await findProgram(name);
    if (found === undefined) notes.push(`${name} is not installed`);
    else if (name === 'crun' && version === 'hybrid')
      notes.push(`crun refuses the hybrid cgroup hierarchy here`);
    else return { present: true, detail: found };
  }
  return { present: false, detail: notes.length === 1 ? 'not installed' : notes.join('; ') };
}

async function checkFiles(paths: readonly string[]): Promise<CheckResult> {
  for (const file of paths) {
    const stats = await stat(file).catch(() => undefined);
    if (stats !== undefined) return { present: true, detail: file };
  }
  return { present: false, detail: 'not installed' };
}

/** Where programs are that a user's PATH leaves out: an administrator's, and those that only programs start. */
const furtherDirectories = [
  '/usr/sbin',
  '/sbin',
  '/usr/lib/podman',
  '/usr/libexec/podman',
  '/usr/lib/cni',
  '/usr/libexec/cni',
  '/opt/cni/bin',
];

/** The path of a program: on PATH, or where programs are that a user's PATH leaves out. */
export async function findProgram(
  name: string,
  searchPath = process.env['PATH'],
): Promise<string | undefined> {
  for (const directory of [...(searchPath ?? '').split(':').filter(Boolean), ...furtherDirectories]) {
    const candidate = path.join(directory, name);
    if (await isExecutable(candidate)) return candidate;
  }
  return undefined;
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

/** Asks the dynamic linker, as the use of the library will. */
function checkLibrary(soname: string): CheckResult {
  try {
    loadKoffi().load(soname);
    return { present: true, detail: 'the dynamic linker finds it' };
  } catch {
    return { present: false, detail: 'the dynamic linker does not find it' };
  }
}

async function checkKernel(feature: KernelFeature, host: HostContext): Promise<CheckResult> {
  switch (feature) {
    case 'overlay':
    case 'btrfs':
      return checkFilesystem(feature);
    case 'loop':
      return checkLoop();
    case 'namespaces':
      return checkNamespaces();
    case 'cgroup':
      return checkCgroup();
    case 'kvm':
      return host.kvm;
    default:
      return feature satisfies never;
  }
}

async function checkFilesystem(name: string): Promise<CheckResult> {
  const known = await readFile('/proc/filesystems', 'utf8').catch(() => '');
  if (known.split('\n').some((line) => line.split('\t')[1] === name)) {
    return { present: true, detail: 'in the running kernel' };
  }
  return checkModule(name);
}

async function checkLoop(): Promise<CheckResult> {
  if (await isThere('/dev/loop-control')) return { present: true, detail: '/dev/loop-control' };
  return checkModule('loop');
}

/** A module that the running kernel could load. */
async function checkModule(name: string): Promise<CheckResult> {
  const directory = `/lib/modules/${release()}`;
  for (const index of ['modules.dep', 'modules.builtin']) {
    const text = await readFile(path.join(directory, index), 'utf8').catch(() => '');
    if (new RegExp(`/${name}\\.ko(\\.\\w+)?(:|$)`, 'm').test(text)) {
      return { present: true, detail: `a module of kernel ${release()}` };
    }
  }
  return { present: false, detail: `kernel ${release()} has neither ${name} nor a module of it` };
}

async function checkNamespaces(): Promise<CheckResult> {
  const missing: string[] = [];
  for (const name of ['mnt', 'pid', 'net', 'uts', 'ipc', 'cgroup']) {
    if (!(await isThere(`/proc/self/ns/${name}`))) missing.push(name);
  }
  return missing.length === 0
    ? { present: true, detail: 'mnt, pid, net, uts, ipc, cgroup' }
    : { present: false, detail: `the kernel lacks ${missing.join(', ')}` };
}

async function checkCgroup(): Promise<CheckResult> {
  const version = await cgroupVersion();
  return version === 'none'
    ? { present: false, detail: 'no cgroup hierarchy is mounted at /sys/fs/cgroup' }
    : { present: true, detail: version };
}

/** How the host mounts its cgroups. Hybrid: version 1 controllers, with a version 2 tree beside them. */
export async function cgroupVersion(): Promise<'v2' | 'hybrid' | 'v1' | 'none'> {
  if (await isThere('/sys/fs/cgroup/cgroup.controllers')) return 'v2';
  if (await isThere('/sys/fs/cgroup/unified/cgroup.controllers')) return 'hybrid';
  return (await isThere('/sys/fs/cgroup/memory')) ? 'v1' : 'none';
}

async function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
