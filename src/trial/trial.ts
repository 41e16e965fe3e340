/** A file of steps that say what a system is to do. @see docs/test.md */
export interface Trial {
  /** In a container: the image's init runs, and the steps begin when it has started the system. */
  boot: boolean;
  steps: TrialStep[];
}

export interface TrialStep {
  name: string;
  /** The program and its arguments. */
  words: string[];
  /** Seconds that it has. */
  withinSeconds: number;
  /** It is run again and again until it is as expected, or its time is over. */
  retry: boolean;
  /** Undefined where any will do. */
  exitStatus: number | undefined;
  stdout: TextExpectation[];
  stderr: TextExpectation[];
}

/** What is expected of a text. */
export type TextExpectation =
  { kind: 'contains' | 'lacks' | 'equals'; text: string } | { kind: 'matches'; pattern: RegExp };

/** How a program ended. */
export interface ProgramEnd {
  /** `late`: it was ended because its time was over. */
  status: number | 'late';
  stdout: Buffer;
  stderr: Buffer;
}

/** What steps are carried out in: a container, a machine. One program at a time. */
export interface TrialGuest {
  /** Before the text of a script. */
  readonly shell: readonly string[];
  run(
    words: readonly string[],
    options: { limitSeconds: number; signal?: AbortSignal | undefined },
  ): Promise<ProgramEnd>;
  /** What it last printed on its console, for a message; undefined where it has none. */
  lastLines(): Promise<string | undefined>;
}
