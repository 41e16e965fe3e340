import path from 'node:path';
import { repository } from './paths.ts';

/** The hooks' library. */
export const hookLibrary = path.join(repository, 'hooks/lib');

/** The shells that the hooks must run under. */
export const hookShells: Record<string, string[]> = {
  dash: ['dash'],
  'busybox ash': ['busybox', 'ash'],
  'bash --posix': ['bash', '--posix'],
};

/** What a generator provides, for a boot that is not one; what is warned of is said nowhere. */
export const hookPort = `
host_info() { :; }
host_warn() { :; }
host_die() { printf '%s\\n' "$1" >&2; exit 3; }
host_load_hardware() { :; }
host_load_module() { :; }
host_break() { :; }
`;
