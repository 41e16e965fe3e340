import { allowedHint, locate } from './dockerfile-error.ts';
import { readFlags } from './flags.ts';
import { withHeredocs } from './heredoc.ts';
import type { Instruction, OnbuildInstruction, Place } from './instruction.ts';
import { readJsonForm } from './json-form.ts';
import { readAdd, readCopy } from './read-copy.ts';
import { readHealthcheck } from './read-healthcheck.ts';
import { readCommandLine, readRun } from './read-run.ts';
import { reject, splitInstruction, type SourceInstruction } from './source-instruction.ts';
import { readArgPairs, readPairs, splitAtBlanks } from './words.ts';

const KEYWORDS =
  'ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME WORKDIR'.split(
    ' ',
  );

/** Understands any instruction but FROM. @throws IMGBOOT_DOCKERFILE */
export function readInstruction(source: SourceInstruction): Instruction {
  const { file, line, endLine, text } = source;
  return { file, line, endLine, text, ...readArguments(source) };
}

type WithoutPlace<T> = T extends Place ? Omit<T, keyof Place> : never;

function readArguments(source: SourceInstruction): WithoutPlace<Instruction> {
  switch (source.keyword) {
    case 'RUN':
      return { ...readRun(source), heredocs: source.heredocs };
    case 'COPY':
      return readCopy(source);
    case 'ADD':
      return readAdd(source);
    case 'HEALTHCHECK':
      return readHealthcheck(source);
  }
  readFlags(source, {});
  switch (source.keyword) {
    case 'ENV':
    case 'LABEL':
      return { kind: source.keyword, pairs: locate(source, () => readPairs(source.rest, source.escape)) };
    case 'ARG':
      return { kind: 'ARG', pairs: locate(source, () => readArgPairs(source.rest, source.escape)) };
    case 'WORKDIR':
      return { kind: 'WORKDIR', path: readText(source) };
    case 'USER':
      return { kind: 'USER', user: readText(source) };
    case 'EXPOSE':
      return { kind: 'EXPOSE', ports: splitAtBlanks(readText(source)) };
    case 'VOLUME':
      return { kind: 'VOLUME', paths: readVolumes(source) };
    case 'ENTRYPOINT':
      return { kind: 'ENTRYPOINT', ...readCommandLine(source) };
    case 'CMD':
      return { kind: 'CMD', ...readCommandLine(source) };
    case 'SHELL':
      return { kind: 'SHELL', shell: readShell(source) };
    case 'STOPSIGNAL':
      return { kind: 'STOPSIGNAL', signal: readText(source) };
    case 'MAINTAINER':
      return { kind: 'MAINTAINER', name: readText(source) };
    case 'ONBUILD':
      return readOnbuild(source);
  }
  return reject(source, `unknown instruction ${source.keyword}`, allowedHint(source.keyword, KEYWORDS));
}

function readText(source: SourceInstruction): string {
  if (source.rest === '') reject(source, 'the argument is missing');
  return source.rest;
}

function readVolumes(source: SourceInstruction): string[] {
  const paths = (readJsonForm(source) ?? splitAtBlanks(readText(source))).map((path) => path.trim());
  if (paths.length === 0 || paths.includes('')) reject(source, 'a volume has an empty path');
  return paths;
}

function readShell(source: SourceInstruction): string[] {
  const shell = readJsonForm(source);
  if (shell === undefined || shell.length === 0) {
    reject(source, 'it takes a JSON array', 'write SHELL ["/bin/bash", "-c"]');
  }
  return shell;
}

/** Understands what follows ONBUILD. @throws IMGBOOT_DOCKERFILE also for what cannot be a trigger */
export function readTrigger(source: SourceInstruction): Instruction {
  if (['ONBUILD', 'FROM', 'MAINTAINER'].includes(source.keyword)) {
    reject(source, `${source.keyword} cannot be a trigger`);
  }
  return readInstruction(source);
}

function readOnbuild(source: SourceInstruction): Omit<OnbuildInstruction, keyof Place> {
  if (source.rest === '')
    reject(source, 'the instruction is missing', 'write ONBUILD RUN COMMAND or the like');
  const inner = splitInstruction({ ...source, text: source.rest }, source.escape);
  return {
    kind: 'ONBUILD',
    trigger: withHeredocs(source.rest, source.heredocs),
    instruction: readTrigger({ ...inner, heredocs: source.heredocs }),
  };
}
