/** Something that a build says: a step begins, a program prints, a step is done, or a warning. */
export interface BuildLine {
  kind: 'step' | 'output' | 'result' | 'warning';
  text: string;
}

/** A line as it goes from the building process to the one that shows it. */
export function encodeLine({ kind, text }: BuildLine): string {
  return `${kind} ${text}`;
}

export function decodeLine(line: string): BuildLine {
  const blank = line.indexOf(' ');
  return { kind: line.slice(0, blank) as BuildLine['kind'], text: line.slice(blank + 1) };
}
