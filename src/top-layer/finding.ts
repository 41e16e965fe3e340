import type { Step } from './apply-plan.ts';
import { factsOf, type NewRoot, type RootNode } from './new-root.ts';
import type { TopEntry } from './scan.ts';
import { showName } from './show.ts';
import type { FileTree } from './tree.ts';

/** Where a top layer collides with an image. */
export interface Finding {
  /** `error` stops the boot; `warning` is hardly meant so; `note` may well be. */
  level: 'error' | 'warning' | 'note';
  /** What it is, for scripts. */
  code: string;
  /** In the top layer, as text for people: `/etc/x`. */
  path: string;
  message: string;
  hint: string;
}

/** What the looks at a top layer go by. */
export interface Scene {
  entries: readonly TopEntry[];
  sockets: readonly string[];
  steps: readonly Step[];
  /** As the image is, and as the top layer makes it. */
  before: NewRoot;
  after: NewRoot;
  image: FileTree;
  top: FileTree;
  /** Directories that are mounted over the new root at boot. */
  persist: readonly string[];
}

/** The text of a file of the new root, links followed, as a byte string; undefined where there is none. */
export function textIn(scene: Scene, when: 'before' | 'after', path: string): string | undefined {
  const found = scene[when].resolve(path);
  return found.kind === 'found' ? contentOf(scene, found.node) : undefined;
}

/** The content of a regular file of the new root, as a byte string; undefined for anything else. */
export function contentOf({ image, top }: Scene, node: RootNode): string | undefined {
  if (factsOf(node).kind !== 'file') return undefined;
  if (node.merged !== undefined) return node.merged;
  return node.entry === undefined ? image.read(node.place) : top.read(node.entry.path);
}

/** Whether a path leads to a file that may be executed. */
export function isProgram(root: NewRoot, path: string): boolean {
  const found = root.resolve(path);
  if (found.kind !== 'found') return false;
  const { kind, mode } = factsOf(found.node);
  return kind === 'file' && (mode & 0o111) !== 0;
}

/** The copies that the boot makes. */
export function copiesOf({ steps }: Pick<Scene, 'steps'>): Extract<Step, { kind: 'copy' }>[] {
  return steps.filter((step) => step.kind === 'copy');
}

/** Names for a message: the first ones, and how many more. */
export function firstOf(names: readonly string[], count = 1): string {
  const more = names.length - count;
  const shown = names.slice(0, count).map(showName).join(', ');
  return more <= 0 ? shown : `${shown} and ${more} more`;
}
