import { describe, expect, it } from 'vitest';
import { capabilities, requirementName, requirementsOf, type Capability } from './requirements.ts';

const namesOf = (capability: Capability): string[] => requirementsOf(capability).map(requirementName);

describe('requirementsOf', () => {
  it('a capability needs what those need that it builds on', () => {
    expect(namesOf('build')).toEqual(expect.arrayContaining(['skopeo', 'crun or runc', 'kernel: overlay']));
  });

  it.each(capabilities)('%s names each requirement once', (capability) => {
    expect(new Set(namesOf(capability)).size).toBe(namesOf(capability).length);
  });

  it('btrfs is optional for a store, and required for the tests', () => {
    const btrfs = (capability: Capability): boolean | undefined =>
      requirementsOf(capability).find((one) => requirementName(one) === 'kernel: btrfs')?.optional;
    expect(btrfs('store')).toBe(true);
    expect(btrfs('develop')).toBeUndefined();
  });

  it.each(capabilities)('Debian has a package for all that %s needs', (capability) => {
    const packages = requirementsOf(capability).flatMap((one) =>
      'packages' in one ? [one.packages.apt] : [],
    );
    expect(packages).not.toContain(undefined);
  });
});
