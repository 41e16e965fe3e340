import { ignoredPaths } from './ignored-paths.ts';

interface Rule {
  paths: string;
  matches: RegExp;
}

const rules: readonly Rule[] = ignoredPaths.flatMap((group) =>
  group.paths.map((paths) => ({ paths, matches: regExpOf(paths) })),
);

/** One expression for all, for who asks often. */
const any = new RegExp(rules.map(({ matches }) => matches.source).join('|'));

/** What the list of ignored paths says of a path from the root (without the slash); undefined where it says nothing. */
export function ignoringRule(path: string): string | undefined {
  return any.test(path) ? rules.find(({ matches }) => matches.test(path))!.paths : undefined;
}

function regExpOf(paths: string): RegExp {
  const words = paths
    .replace(/^\//, '')
    .replace(/\/$/, '')
    .replaceAll(/[\\^$.|?+()[\]{}]/g, String.raw`\$&`)
    .replaceAll(/\*\*\/|\*/g, (stars) => (stars === '*' ? '[^/]*' : '(?:[^/]+/)*'));
  return new RegExp(`^${words}${paths.endsWith('/') ? '(?:/|$)' : '$'}`);
}
