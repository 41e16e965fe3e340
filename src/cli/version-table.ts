import type { VersionStatus } from '../deploy/status.ts';
import { age, humanSize, table } from './table.ts';

/** Versions of deployments, a line each. */
export function versionTable(versions: readonly VersionStatus[]): string {
  return table(
    ['VERSION', 'IMAGE', 'IMAGE ID', 'KERNEL', 'CREATED', 'STATE', 'BOOT FILES', 'IS'],
    versions.map((version) => [
      version.id,
      version.reference,
      version.image.slice('sha256:'.length, 'sha256:'.length + 12),
      version.kver,
      age(version.created),
      version.tries > 0 ? `${version.state}, ${version.tries} tries` : version.state,
      humanSize(version.bootBytes),
      rolesOf(version).join(', '),
    ]),
  );
}

function rolesOf(version: VersionStatus): string[] {
  return (['booted', 'default', 'previous', 'pinned'] as const).filter((role) => version[role]);
}
