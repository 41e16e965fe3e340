/** How builders write that a shell ran something: docker's, with build arguments before it, and BuildKit's. */
const SHELL = /^(?:RUN )?(?:\|\d+ .*? )?\/bin\/(?:ba|da)?sh -(?:ec|c) /s;

/**
 * A history's words as they stand in a Dockerfile, on one line: `RUN apt-get update`, whichever builder wrote them.
 * What is none of theirs stays as it is.
 */
export function instructionOf(createdBy: string): string {
  const line = createdBy
    .replace(/ # buildkit$/, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
  const nop = /^\/bin\/sh -c #\(nop\) (.*)$/.exec(line);
  if (nop !== null) return nop[1]!.trim();
  return SHELL.test(line) ? line.replace(SHELL, 'RUN ') : line;
}
