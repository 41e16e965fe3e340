import { hostPackageManager, installCommand, type PackageManager } from './packages.ts';
import { checkRequirement, type HostContext } from './requirements-check.ts';
import { requirementName, requirementsOf, type Capability, type Requirement } from './requirements.ts';

export interface RequirementState {
  name: string;
  kind: Requirement['kind'];
  purpose: string;
  optional: boolean;
  present: boolean;
  detail: string;
  /** What brings it here; null for the kernel's features, and where the distribution has no package of it. */
  package: string | null;
}

export interface CapabilityState {
  name: Capability;
  /** Nothing that it cannot do without is missing. */
  ready: boolean;
  /** Names of what is missing, what is optional in brackets. */
  missing: string[];
}

export interface Diagnosis {
  packageManager: PackageManager | null;
  capabilities: CapabilityState[];
  requirements: RequirementState[];
  missingPackages: string[];
  /** The one command that installs all of `missingPackages`; null where there are none or we know no command. */
  installCommand: string | null;
}

/** Looks what this host has of what some capabilities need. Changes nothing. */
export async function diagnose(asked: readonly Capability[], host: HostContext): Promise<Diagnosis> {
  const manager = await hostPackageManager();
  const states = new Map<string, RequirementState>();
  const capabilities: CapabilityState[] = [];
  for (const name of asked) {
    const missing: string[] = [];
    let ready = true;
    for (const requirement of requirementsOf(name)) {
      const state = await stateOf(requirement, { host, manager });
      const known = states.get(state.name);
      states.set(state.name, { ...state, optional: state.optional && (known?.optional ?? true) });
      if (state.present) continue;
      missing.push(state.optional ? `(${state.name})` : state.name);
      ready &&= state.optional;
    }
    capabilities.push({ name, ready, missing });
  }
  const requirements = [...states.values()];
  const missingPackages = packagesOf(requirements);
  return {
    packageManager: manager ?? null,
    capabilities,
    requirements,
    missingPackages,
    installCommand:
      manager === undefined || missingPackages.length === 0
        ? null
        : installCommand(manager, missingPackages).join(' '),
  };
}

async function stateOf(
  requirement: Requirement,
  { host, manager }: { host: HostContext; manager: PackageManager | undefined },
): Promise<RequirementState> {
  const { present, detail } = await checkRequirement(requirement, host);
  return {
    name: requirementName(requirement),
    kind: requirement.kind,
    purpose: requirement.purpose,
    optional: requirement.optional ?? false,
    present,
    detail,
    // On an unknown distribution Debian's name is the best guess that a person can look up.
    package: 'packages' in requirement ? (requirement.packages[manager ?? 'apt'] ?? null) : null,
  };
}

function packagesOf(requirements: readonly RequirementState[]): string[] {
  const names = requirements.flatMap((state) => (state.present ? [] : (state.package ?? [])));
  return [...new Set(names)].sort();
}
