import type { Config, Healthcheck as ConfigHealthcheck } from '../image/manifest.ts';
import type { CommandLine, Healthcheck, Instruction } from './dockerfile/instruction.ts';
import { exposedPorts } from './dockerfile/ports.ts';
import type { StageScope } from './dockerfile/stage-scope.ts';
import type { StageState } from './stage-state.ts';

/** An instruction that changes the image config only. */
export type ConfigInstruction = Exclude<Instruction, { kind: 'RUN' | 'COPY' | 'ADD' | 'WORKDIR' }>;

/** The run-time part of a stage's image config. */
export function runConfig(state: StageState): NonNullable<Config['config']> {
  state.config.config ??= {};
  return state.config.config;
}

/** Changes the config of a state as an instruction says. @throws IMGBOOT_DOCKERFILE */
export function configureStage(state: StageState, scope: StageScope, instruction: ConfigInstruction): void {
  const config = runConfig(state);
  const expand = (text: string): string => scope.expand(text, instruction);
  switch (instruction.kind) {
    case 'ENV':
      for (const [name, value] of scope.setEnvironment(instruction)) setEnv(state, name, value);
      break;
    case 'ARG':
      scope.declare(instruction);
      break;
    case 'LABEL':
      config.Labels = {
        ...config.Labels,
        ...Object.fromEntries(instruction.pairs.map(({ name, value }) => [expand(name), expand(value)])),
      };
      break;
    case 'USER':
      config.User = expand(instruction.user);
      break;
    case 'EXPOSE':
      config.ExposedPorts = {
        ...config.ExposedPorts,
        ...Object.fromEntries(
          exposedPorts(instruction.ports.flatMap((port) => scope.expandWords(port, instruction))).map(
            (port) => [port, {}],
          ),
        ),
      };
      break;
    case 'VOLUME':
      config.Volumes = {
        ...config.Volumes,
        ...Object.fromEntries(instruction.paths.map((path) => [expand(path), {}])),
      };
      break;
    case 'ENTRYPOINT':
      config.Entrypoint = commandArguments(state, instruction);
      // A new entry point makes the base image's arguments meaningless.
      if (!state.hasOwnCmd) delete config.Cmd;
      break;
    case 'CMD':
      config.Cmd = commandArguments(state, instruction);
      state.hasOwnCmd = true;
      break;
    case 'SHELL':
      config.Shell = instruction.shell;
      state.shell = instruction.shell;
      break;
    case 'STOPSIGNAL':
      config.StopSignal = expand(instruction.signal);
      break;
    case 'HEALTHCHECK':
      config.Healthcheck = healthcheck(instruction.check);
      break;
    case 'ONBUILD':
      config.OnBuild = [...(config.OnBuild ?? []), instruction.trigger];
      break;
    case 'MAINTAINER':
      state.config.author = instruction.name;
      break;
  }
}

/** Sets a variable in place, or adds it at the end, as Docker does. */
export function setEnv(state: StageState, name: string, value: string): void {
  const config = runConfig(state);
  const env = config.Env ?? [];
  const pair = `${name}=${value}`;
  const index = env.findIndex((other) => other.startsWith(`${name}=`));
  config.Env = index < 0 ? [...env, pair] : env.with(index, pair);
}

/** The arguments of a command in either form. */
function commandArguments(state: StageState, command: CommandLine): string[] {
  return command.form === 'exec' ? command.command : [...state.shell, command.command];
}

/** A health check for the config; what was not said is not written. */
function healthcheck(check: Healthcheck | 'none'): ConfigHealthcheck {
  if (check === 'none') return { Test: ['NONE'] };
  const times: [keyof ConfigHealthcheck, number][] = [
    ['Interval', check.interval],
    ['Timeout', check.timeout],
    ['StartPeriod', check.startPeriod],
    ['StartInterval', check.startInterval],
    ['Retries', check.retries],
  ];
  return { Test: check.test, ...Object.fromEntries(times.filter(([, value]) => value !== 0)) };
}
