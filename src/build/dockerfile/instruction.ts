/** Where an instruction stands, for errors, progress and history. Lines count from 1. */
export interface Place {
  file: string;
  line: number;
  /** The last line, heredocs included. */
  endLine: number;
  /** The instruction as it was written, its continuation lines joined, without heredoc bodies. */
  text: string;
}

/** A here-document as it was written: tabs not yet stripped, variables not yet expanded. */
export interface Heredoc {
  name: string;
  /** Whole lines, each with its line end; empty for an empty one. */
  content: string;
  /** False where the delimiter was quoted. */
  expand: boolean;
  /** `<<-`: leading tabs are not content. */
  stripTabs: boolean;
  /** The number before `<<`; 0 where none was written. */
  fileDescriptor: number;
}

/** A command for a shell, or an argument vector. */
export type CommandLine = { form: 'shell'; command: string } | { form: 'exec'; command: string[] };

export interface Pair {
  name: string;
  /** Quotes kept, variables unexpanded. */
  value: string;
}

export interface ArgPair {
  name: string;
  /** Quotes kept, variables unexpanded; undefined without `=`. */
  default: string | undefined;
}

/** A `RUN --mount` whose values may still hold variables. `resolveMount` makes a mount of it. */
export interface MountOptions {
  text: string;
  /** Stage or image; never holds a variable. */
  from: string | undefined;
}

/** A file that a COPY or ADD carries in a heredoc. */
export interface InlineFile {
  name: string;
  /** Tabs stripped where `<<-` asks for it; `expandHeredoc` it where `expand` says so. */
  content: string;
  expand: boolean;
}

export type RunInstruction = Place & {
  kind: 'RUN';
  heredocs: Heredoc[];
  mounts: MountOptions[];
  network: 'default' | 'none' | 'host';
  security: 'sandbox' | 'insecure';
} & CommandLine;

export interface CopyInstruction extends Place {
  kind: 'COPY' | 'ADD';
  /** Paths, globs, for ADD also URLs; unexpanded, without the heredocs. */
  sources: string[];
  files: InlineFile[];
  destination: string;
  /** Stage name, stage index or image; never holds a variable. */
  from: string | undefined;
  chown: string | undefined;
  chmod: string | undefined;
  link: boolean;
  exclude: string[];
  parents: boolean;
  checksum: string | undefined;
  keepGitDir: boolean | undefined;
  unpack: boolean | undefined;
}

/** Times in nanoseconds and zeroes for what is not said, as image configs have them. */
export interface Healthcheck {
  /** `CMD` and an argument vector, or `CMD-SHELL` and a command. */
  test: string[];
  interval: number;
  timeout: number;
  startPeriod: number;
  startInterval: number;
  retries: number;
}

export type EnvInstruction = Place & { kind: 'ENV'; pairs: Pair[] };
export type LabelInstruction = Place & { kind: 'LABEL'; pairs: Pair[] };
export type ArgInstruction = Place & { kind: 'ARG'; pairs: ArgPair[] };
export type WorkdirInstruction = Place & { kind: 'WORKDIR'; path: string };
export type UserInstruction = Place & { kind: 'USER'; user: string };
/** `port[/protocol]` or ranges, unexpanded: `expandWords` them, then `exposedPorts`. */
export type ExposeInstruction = Place & { kind: 'EXPOSE'; ports: string[] };
export type VolumeInstruction = Place & { kind: 'VOLUME'; paths: string[] };
export type EntrypointInstruction = Place & { kind: 'ENTRYPOINT' } & CommandLine;
export type CmdInstruction = Place & { kind: 'CMD' } & CommandLine;
export type ShellInstruction = Place & { kind: 'SHELL'; shell: string[] };
export type StopsignalInstruction = Place & { kind: 'STOPSIGNAL'; signal: string };
export type HealthcheckInstruction = Place & { kind: 'HEALTHCHECK'; check: Healthcheck | 'none' };
export type MaintainerInstruction = Place & { kind: 'MAINTAINER'; name: string };
/** `trigger` is what an image config keeps under OnBuild, heredocs included. */
export type OnbuildInstruction = Place & { kind: 'ONBUILD'; trigger: string; instruction: Instruction };

export type Instruction =
  | RunInstruction
  | CopyInstruction
  | EnvInstruction
  | LabelInstruction
  | ArgInstruction
  | WorkdirInstruction
  | UserInstruction
  | ExposeInstruction
  | VolumeInstruction
  | EntrypointInstruction
  | CmdInstruction
  | ShellInstruction
  | StopsignalInstruction
  | HealthcheckInstruction
  | MaintainerInstruction
  | OnbuildInstruction;

/** The part of a Dockerfile from a FROM to the next. */
export interface Stage extends Place {
  index: number;
  /** In lower case. */
  name: string | undefined;
  /** Unexpanded. */
  from: string;
  /** Unexpanded. */
  platform: string | undefined;
  instructions: Instruction[];
}

export interface Dockerfile {
  file: string;
  /** The escape character: a backslash or a backquote. */
  escape: string;
  /** The ARGs before the first FROM. */
  globalArgs: ArgInstruction[];
  /** At least one. */
  stages: Stage[];
}
