import { readFlags } from './flags.ts';
import { parseHeredoc, stripTabs } from './heredoc.ts';
import type { CopyInstruction, InlineFile, Place } from './instruction.ts';
import { readJsonForm } from './json-form.ts';
import { reject, type SourceInstruction } from './source-instruction.ts';
import { splitAtBlanks } from './words.ts';

type CopyArguments = Pick<CopyInstruction, 'sources' | 'files' | 'destination'>;

const COMMON_FLAGS = { chown: 'text', chmod: 'text', link: 'flag', exclude: 'texts' } as const;

export function readCopy(source: SourceInstruction): Omit<CopyInstruction, keyof Place> {
  const flags = readFlags(source, { from: 'text', parents: 'flag', ...COMMON_FLAGS });
  if (flags.from === '') reject(source, '--from is empty', 'name a stage or an image');
  if (flags.from !== undefined && /\$./.test(flags.from)) {
    reject(source, '--from has no variables', 'name a stage: FROM $IMAGE AS name, and --from=name');
  }
  return {
    kind: 'COPY',
    ...readArguments(source),
    ...flags,
    link: flags.link ?? false,
    parents: flags.parents ?? false,
    checksum: undefined,
    keepGitDir: undefined,
    unpack: undefined,
  };
}

export function readAdd(source: SourceInstruction): Omit<CopyInstruction, keyof Place> {
  const { 'keep-git-dir': keepGitDir, ...flags } = readFlags(source, {
    ...COMMON_FLAGS,
    checksum: 'text',
    'keep-git-dir': 'flag',
    unpack: 'flag',
  });
  return {
    kind: 'ADD',
    ...readArguments(source),
    ...flags,
    from: undefined,
    link: flags.link ?? false,
    parents: false,
    keepGitDir,
  };
}

function readArguments(source: SourceInstruction): CopyArguments {
  const words = readJsonForm(source) ?? splitAtBlanks(source.rest);
  const destination = words.pop();
  if (destination === undefined || words.length === 0) {
    reject(
      source,
      'it takes at least a source and a destination',
      `write ${source.keyword} SOURCE... DESTINATION`,
    );
  }
  if (source.heredocs.length === 0) return { sources: words, files: [], destination };
  if (parseHeredoc(destination) !== undefined) {
    reject(source, 'a heredoc cannot be the destination', `write ${source.keyword} <<EOF DESTINATION`);
  }
  const sources: string[] = [];
  const files: InlineFile[] = [];
  for (const word of words) {
    const name = parseHeredoc(word)?.name;
    const heredoc = source.heredocs.find((candidate) => candidate.name === name);
    if (heredoc === undefined) sources.push(word);
    else {
      // The name becomes that of a file, where the destination is a directory.
      if (/\/|^\.{0,2}$/.test(heredoc.name)) reject(source, `the heredoc ${heredoc.name} cannot name a file`);
      const content = heredoc.stripTabs ? stripTabs(heredoc.content) : heredoc.content;
      files.push({ name: heredoc.name, content, expand: heredoc.expand });
    }
  }
  return { sources, files, destination };
}
