import { variablesIn } from './expand.ts';
import type { Instruction } from './instruction.ts';

/**
 * The names of the variables that the build expands in an instruction. Not those in a RUN's command: its shell does
 * that.
 * @throws IMGBOOT_DOCKERFILE (without a line)
 */
export function variablesOf(instruction: Instruction, escape: string): Set<string> {
  const names = wordsOf(instruction).map((word) => variablesIn(word, { escape }));
  return new Set([...names, ...contentsOf(instruction).map(contentVariables)].flatMap((set) => [...set]));
}

function wordsOf(instruction: Instruction): string[] {
  switch (instruction.kind) {
    case 'RUN':
      return instruction.mounts.map(({ text }) => text);
    case 'COPY':
    case 'ADD': {
      const { sources, destination, chown, chmod, checksum } = instruction;
      return [...sources, destination, chown ?? '', chmod ?? '', checksum ?? ''];
    }
    case 'ENV':
    case 'LABEL':
      return instruction.pairs.flatMap(({ name, value }) => [name, value]);
    case 'ARG':
      return instruction.pairs.map((pair) => pair.default ?? '');
    case 'WORKDIR':
      return [instruction.path];
    case 'USER':
      return [instruction.user];
    case 'EXPOSE':
      return instruction.ports;
    case 'VOLUME':
      return instruction.paths;
    case 'STOPSIGNAL':
      return [instruction.signal];
    default:
      return [];
  }
}

function contentsOf(instruction: Instruction): string[] {
  if (instruction.kind !== 'COPY' && instruction.kind !== 'ADD') return [];
  return instruction.files.flatMap(({ content, expand }) => (expand ? [content] : []));
}

/** As expandHeredoc reads it. */
function contentVariables(content: string): Set<string> {
  return variablesIn(content, { ignoreQuotes: true });
}
