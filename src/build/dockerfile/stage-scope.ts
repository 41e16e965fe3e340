import { dockerfileError, locate } from './dockerfile-error.ts';
import { expand, expandHeredoc, expandWords, type WordRules } from './expand.ts';
import { proxyArguments } from './global-arguments.ts';
import type { ArgInstruction, EnvInstruction, Instruction, Place } from './instruction.ts';
import { variablesOf } from './variables-of.ts';

export interface ScopeOptions {
  escape: string;
  /** Of {@link globalArguments}. */
  globals: ReadonlyMap<string, string>;
  buildArgs?: Readonly<Record<string, string>> | undefined;
  /** The base image's Env, `NAME=value` each; its ENVs, if the base is a stage. */
  environment: readonly string[];
  /** The scope of the stage that this one is FROM: its ARGs go on. */
  parent?: StageScope | undefined;
}

// MAX_ARG_STRLEN of binfmts.h: no program could be started with a longer one.
const LONGEST_VALUE = 128 * 1024 - 1;

/**
 * The variables of a stage, as they are at one instruction: give it each ENV and ARG in turn. An ENV hides an ARG of
 * the same name, wherever either stands.
 * @see Docker's reference, "Using ARG variables", "Impact on build caching"
 */
export class StageScope {
  readonly #rules: WordRules;
  readonly #globals: ReadonlyMap<string, string>;
  readonly #buildArgs: ReadonlyMap<string, string>;
  readonly #environment: Map<string, string>;
  /** In the order of their first declaration. Undefined has no value. */
  readonly #arguments: Map<string, string | undefined>;

  constructor(options: ScopeOptions) {
    this.#rules = { escape: options.escape };
    this.#globals = options.globals;
    this.#buildArgs = new Map(Object.entries(options.buildArgs ?? {}));
    this.#environment = new Map(options.environment.map(splitVariable));
    this.#arguments = new Map(options.parent === undefined ? [] : options.parent.#arguments);
  }

  /** Sets what an ENV says; every value sees the variables as they were before the instruction. */
  setEnvironment(instruction: EnvInstruction): [name: string, value: string][] {
    const pairs = instruction.pairs.map(({ name, value }): [string, string] => [
      this.expand(name, instruction),
      checkLength(this.expand(value, instruction), instruction),
    ]);
    for (const [name, value] of pairs) {
      if (name === '') throw dockerfileError(instruction, 'a name is empty after expansion');
      this.#environment.set(name, value);
    }
    return pairs;
  }

  /** Sets what an ARG says, and returns it: the value from `--build-arg`, else its default, else the global ARG's. */
  declare(instruction: ArgInstruction): [name: string, value: string | undefined][] {
    return instruction.pairs.map(({ name, default: text }): [string, string | undefined] => {
      const given = this.#buildArgs.get(name);
      const value =
        given ??
        (text === undefined
          ? (this.#globals.get(name) ?? this.#arguments.get(name))
          : checkLength(this.expand(text, instruction), instruction));
      this.#arguments.set(name, value);
      return [name, value];
    });
  }

  /** @throws IMGBOOT_DOCKERFILE with the place */
  expand(text: string, place: Place): string {
    return locate(place, () => expand(text, this.#visible(), this.#rules));
  }

  /** @throws IMGBOOT_DOCKERFILE with the place */
  expandWords(text: string, place: Place): string[] {
    return locate(place, () => expandWords(text, this.#visible(), this.#rules));
  }

  /** A heredoc's content for a file. @throws IMGBOOT_DOCKERFILE with the place */
  expandHeredoc(content: string, place: Place): string {
    return locate(place, () => expandHeredoc(content, this.#visible()));
  }

  /** The image config's Env: what ENV set, `NAME=value` each. */
  get environment(): string[] {
    return [...this.#environment].map(([name, value]) => `${name}=${value}`);
  }

  /** What a RUN gets: ENV, ARG, and the proxies given with `--build-arg`. */
  get runEnvironment(): string[] {
    const all = new Map([...this.#proxies(), ...this.#visible()]);
    return [...all].map(([name, value]) => `${name}=${value}`);
  }

  /** The ARGs that a RUN's history tells, `NAME=value` each, as Docker does: `|1 NAME=value /bin/sh -c ...`. */
  get historyArguments(): string[] {
    return [...this.#arguments].map(
      ([name, value]) => `${name}=${this.#environment.get(name) ?? value ?? ''}`,
    );
  }

  /**
   * The ARGs that an instruction can see the value of, for its cache key: for a RUN all, as they are in its
   * environment; for another those that it names. Proxies only where an ARG declares them.
   */
  argumentsOf(instruction: Instruction): [name: string, value: string][] {
    const named =
      instruction.kind === 'RUN'
        ? undefined
        : locate(instruction, () => variablesOf(instruction, this.#rules.escape ?? '\\'));
    return [...this.#arguments].flatMap(([name, value]): [string, string][] =>
      value === undefined || this.#environment.has(name) || named?.has(name) === false ? [] : [[name, value]],
    );
  }

  #visible(): Map<string, string> {
    const visible = new Map<string, string>();
    for (const [name, value] of this.#arguments) if (value !== undefined) visible.set(name, value);
    for (const [name, value] of this.#environment) visible.set(name, value);
    return visible;
  }

  /** Both in capitals and in small letters, whichever was given: programs disagree on which they read. */
  #proxies(): [name: string, value: string][] {
    return [...this.#buildArgs]
      .filter(([name]) => proxyArguments.includes(name.toUpperCase()))
      .flatMap(([name, value]): [string, string][] => [
        [name.toUpperCase(), value],
        [name.toLowerCase(), value],
      ]);
  }
}

function splitVariable(text: string): [name: string, value: string] {
  const equals = text.indexOf('=');
  return equals === -1 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
}

function checkLength(value: string, place: Place): string {
  if (value.length <= LONGEST_VALUE) return value;
  throw dockerfileError(place, `a value is longer than ${LONGEST_VALUE} characters after expansion`);
}
