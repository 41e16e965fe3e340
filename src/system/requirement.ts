/** The package that brings a program or library, per package manager; absent where the distribution has none. */
export interface PackageNames {
  apt?: string;
  pacman?: string;
  dnf?: string;
}

export type KernelFeature = 'overlay' | 'btrfs' | 'loop' | 'namespaces' | 'cgroup' | 'kvm';

/** One thing that a host has or lacks. */
export type Requirement = {
  /** What it is needed for, as the end of "needed to ...". */
  purpose: string;
  /** Without it the capability works, with less; `purpose` says what. */
  optional?: true;
} & (
  | { kind: 'program'; anyOf: readonly string[]; packages: PackageNames }
  /** Data that a package brings: any of the paths. */
  | { kind: 'files'; name: string; anyOf: readonly string[]; packages: PackageNames }
  | { kind: 'library'; soname: string; packages: PackageNames }
  | { kind: 'kernel'; feature: KernelFeature }
);

/** What a requirement is called: a program, a library, a kernel feature. */
export function requirementName(requirement: Requirement): string {
  if (requirement.kind === 'program') return requirement.anyOf.join(' or ');
  if (requirement.kind === 'files') return requirement.name;
  return requirement.kind === 'library' ? requirement.soname : `kernel: ${requirement.feature}`;
}

export function program(
  names: string | readonly string[],
  purpose: string,
  packages: string | PackageNames,
): Requirement {
  return {
    kind: 'program',
    anyOf: typeof names === 'string' ? [names] : names,
    purpose,
    packages: everywhere(packages),
  };
}

export function files(
  name: string,
  purpose: string,
  found: { anyOf: readonly string[]; packages: PackageNames },
): Requirement {
  return { kind: 'files', name, purpose, ...found };
}

export function library(soname: string, purpose: string, packages: PackageNames): Requirement {
  return { kind: 'library', soname, purpose, packages };
}

export function kernel(feature: KernelFeature, purpose: string): Requirement {
  return { kind: 'kernel', feature, purpose };
}

function everywhere(packages: string | PackageNames): PackageNames {
  return typeof packages === 'string' ? { apt: packages, pacman: packages, dnf: packages } : packages;
}
