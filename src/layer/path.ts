/** A path of a layer tar, made relative to the root: no empty, `.` or `..` components. */
export interface CleanPath {
  /** The directory, without slashes at its ends; empty for the root. */
  parent: string;
  /** The last component; empty for the root itself. */
  name: string;
}

/** Cleans a path lexically; `..` stops at the root, as it does for the kernel in a chroot. */
export function splitPath(path: string): CleanPath {
  const components: string[] = [];
  for (const component of path.split('/')) {
    if (component === '..') components.pop();
    else if (component !== '' && component !== '.') components.push(component);
  }
  const name = components.pop() ?? '';
  return { parent: components.join('/'), name };
}
