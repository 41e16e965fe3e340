import { dockerfileError } from './dockerfile-error.ts';
import { readFlags } from './flags.ts';
import type { ArgInstruction, Dockerfile, Instruction, Stage } from './instruction.ts';
import { readInstruction, readTrigger } from './read-instruction.ts';
import { reject, type SourceInstruction } from './source-instruction.ts';
import { readSourceInstructions } from './source-instructions.ts';
import { splitAtBlanks } from './words.ts';

/**
 * Reads a whole Dockerfile. Variables stay as they are: what they become is only known in the build.
 * @param file how errors name it
 * @throws IMGBOOT_DOCKERFILE with file, line and instruction, for all that can be wrong before the build
 * @see https://docs.docker.com/reference/dockerfile/
 */
export function parseDockerfile(text: string, file: string): Dockerfile {
  const { escape, instructions } = readSourceInstructions(text, file);
  const globalArgs: ArgInstruction[] = [];
  const stages: Stage[] = [];
  for (const source of instructions) {
    if (source.keyword === 'FROM') {
      stages.push(readFrom(source, stages));
      continue;
    }
    const instruction = readInstruction(source);
    const stage = stages.at(-1);
    if (stage !== undefined) stage.instructions.push(instruction);
    else if (instruction.kind === 'ARG') globalArgs.push(instruction);
    else reject(source, `${instruction.kind} before the first FROM`, 'only ARG may stand before FROM');
  }
  if (stages.length === 0) {
    throw dockerfileError({ file, line: 1, text: '' }, 'there is no FROM', {
      hint: 'begin with FROM IMAGE, or FROM scratch',
    });
  }
  return { file, escape, globalArgs, stages };
}

/**
 * Reads an ONBUILD trigger as an image config keeps it.
 * @param base the FROM that brought it: its place is what errors tell
 * @throws IMGBOOT_DOCKERFILE
 */
export function parseTrigger(trigger: string, base: Stage): Instruction {
  const { file, line, endLine } = base;
  const { instructions } = readSourceInstructions(trigger, file);
  const [source, more] = instructions;
  const place = { file, line, endLine, text: `ONBUILD ${source?.text ?? trigger.trim()}` };
  if (source === undefined || more !== undefined)
    reject(place, 'the trigger of the base image is not one instruction');
  return { ...readTrigger({ ...source, ...place }), text: source.text };
}

const STAGE_NAME = /^[a-z][a-z0-9-_.]*$/;

function readFrom(source: SourceInstruction, stages: readonly Stage[]): Stage {
  const { file, line, endLine, text } = source;
  const { platform } = readFlags(source, { platform: 'text' });
  const words = splitAtBlanks(source.rest);
  const isNamed = words.length === 3 && words[1]!.toUpperCase() === 'AS';
  if (words.length !== 1 && !isNamed) {
    reject(
      source,
      'FROM takes an image, and perhaps AS and a name',
      'write FROM IMAGE or FROM IMAGE AS NAME',
    );
  }
  const name = isNamed ? words[2]!.toLowerCase() : undefined;
  if (name !== undefined && !STAGE_NAME.test(name)) {
    reject(
      source,
      `${words[2]} cannot name a stage`,
      'a name begins with a letter; then letters, digits, - _ .',
    );
  }
  const same = stages.find((stage) => name !== undefined && stage.name === name);
  if (same !== undefined) reject(source, `a stage ${name} already begins at line ${same.line}`);
  return {
    file,
    line,
    endLine,
    text,
    index: stages.length,
    name,
    from: words[0]!,
    platform,
    instructions: [],
  };
}
