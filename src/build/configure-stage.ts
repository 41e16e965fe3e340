import type { Config, Healthcheck as ConfigHealthcheck } from '../image/manifest.ts';
import type { CommandLine, Healthcheck } from './dockerfile/instruction.ts';
import type { StageState } from './stage-state.ts';

/** The run-time part of a stage's image config. */
export function runConfig(state: StageState): NonNullable<Config['config']> {
  state.config.config ??= {};
  return state.config.config;
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
export function commandArguments(state: StageState, command: CommandLine): string[] {
  return command.form === 'exec' ? command.command : [...state.shell, command.command];
}

/** A health check for the config; what was not said is not written. */
export function healthcheck(check: Healthcheck | 'none'): ConfigHealthcheck {
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
