import { posix } from 'node:path';
import { ImgbootError } from '../errors.ts';
import type { Config } from '../image/manifest.ts';
import { configureStage, runConfig } from './configure-stage.ts';
import type { Instruction } from './dockerfile/instruction.ts';
import { parseDockerfile } from './dockerfile/parse-dockerfile.ts';
import { StageScope } from './dockerfile/stage-scope.ts';
import { scratchState } from './stage-state.ts';

/** How errors name what was given. */
const SOURCE = '--change';

/**
 * A config as lines of a Dockerfile change it, such as `CMD ["sh"]`: those that change nothing else.
 * @throws IMGBOOT_DOCKERFILE, IMGBOOT_USAGE for an instruction that makes files
 */
export function changeConfig(config: Config, lines: readonly string[]): Config {
  const { os, architecture } = config;
  const state = { ...scratchState({ os, architecture }), config: structuredClone(config) };
  state.shell = runConfig(state).Shell ?? state.shell;
  const instructions = lines.map(readLine);
  const environment = runConfig(state).Env ?? [];
  const scope = new StageScope({ escape: '\\', globals: new Map(), environment });
  for (const instruction of instructions) {
    switch (instruction.kind) {
      case 'RUN':
      case 'COPY':
      case 'ADD':
      case 'ARG':
        throw new ImgbootError('IMGBOOT_USAGE', `--change takes no ${instruction.kind}`, {
          hint: 'it takes CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, SHELL, STOPSIGNAL, USER, VOLUME and WORKDIR; imgboot build does the rest',
        });
      case 'WORKDIR':
        runConfig(state).WorkingDir = posix.resolve(
          runConfig(state).WorkingDir || '/',
          scope.expand(instruction.path, instruction),
        );
        break;
      default:
        configureStage(state, scope, instruction);
    }
  }
  return state.config;
}

function readLine(line: string): Instruction {
  const { stages } = parseDockerfile(`FROM scratch\n${line}`, SOURCE);
  const [instruction, ...more] = stages.flatMap(({ instructions }) => instructions);
  if (instruction !== undefined && more.length === 0 && stages.length === 1) return instruction;
  throw new ImgbootError('IMGBOOT_USAGE', `--change takes one instruction: ${JSON.stringify(line)}`, {
    hint: 'give --change once for each',
  });
}
