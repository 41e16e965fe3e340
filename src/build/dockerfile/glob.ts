import { matchPath, parsePathPattern } from './path-pattern.ts';

export interface GlobRules {
  /** `**` is any number of directories, as in COPY --parents; without, it is `*`. */
  doubleStar: boolean;
}

/**
 * Whether a path matches the source of a COPY or ADD. Both are relative, without `./`; `*`, `?` match within a name.
 * @throws IMGBOOT_DOCKERFILE (without a line) for an open bracket or a backslash at the end
 * @see Go's path/filepath.Match
 */
export function matchGlob(pattern: string, path: string, rules: GlobRules): boolean {
  return matchPath(parsePathPattern(pattern, rules), path);
}

/** Whether a source is a pattern: has `*`, `?`, `[` or a backslash. */
export function isGlob(source: string): boolean {
  return /[*?[\\]/.test(source);
}

/** The directories before the first component that is a pattern: only below them can anything match. */
export function globBase(pattern: string): string {
  const components = pattern.split('/');
  const first = components.findIndex((component) => isGlob(component));
  return (first === -1 ? components.slice(0, -1) : components.slice(0, first)).join('/');
}
