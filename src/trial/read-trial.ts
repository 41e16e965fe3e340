import { readFileSync } from 'node:fs';
import { LineCounter, parseDocument, type Node } from 'yaml';
import { ImgbootError, errorMessage } from '../errors.ts';
import { NodeReader } from './node-reader.ts';
import type { TextExpectation, Trial, TrialStep } from './trial.ts';

/** How long a step has that does not say. */
const WITHIN_SECONDS = 30;
const LONGEST_SECONDS = 24 * 60 * 60;
/** Nobody writes a longer one. */
const MOST_BYTES = 2 ** 20;

/** Reads a test file. @throws IMGBOOT_BAD_TEST, with the line */
export function readTrial(path: string): Trial {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (cause) {
    throw new ImgbootError('IMGBOOT_BAD_TEST', `the test ${path} cannot be read: ${errorMessage(cause)}`, {
      cause,
    });
  }
  return parseTrial(path, text);
}

/** The same, of a text. @param path for messages */
export function parseTrial(path: string, text: string): Trial {
  if (text.length > MOST_BYTES)
    throw new ImgbootError('IMGBOOT_BAD_TEST', `${path} is too large for a test: ${text.length} bytes`);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const reader = new NodeReader(path, (offset) => lines.linePos(offset).line);
  const [error] = document.errors;
  if (error !== undefined) throw reader.error(error.pos[0], error.message);
  const fields = reader.fields(document.contents, ['boot', 'steps'], 'a test');
  const steps = reader.list(fields.get('steps'), 'steps').map((node) => readStep(reader, node));
  if (steps.length === 0) throw reader.error(0, 'it has no steps');
  return { boot: reader.boolean(fields.get('boot'), 'boot') ?? false, steps };
}

/** A step: what it runs, or all there is to say of it. */
function readStep(reader: NodeReader, node: Node): TrialStep {
  const script = reader.tryText(node);
  const fields =
    script === undefined
      ? reader.fields(node, ['name', 'run', 'within', 'retry', 'expect'], 'a step')
      : new Map([['run', node]]);
  const run = fields.get('run');
  if (run === undefined) throw reader.error(node, 'the step has no run');
  const expect = reader.fields(fields.get('expect'), ['exit', 'stdout', 'stderr'], 'expect');
  const withinSeconds = reader.number(fields.get('within'), 'within') ?? WITHIN_SECONDS;
  if (!(withinSeconds > 0 && withinSeconds <= LONGEST_SECONDS))
    throw reader.error(fields.get('within'), `within is a number of seconds, up to ${LONGEST_SECONDS}`);
  const words = reader.words(run, 'run');
  return {
    name: reader.text(fields.get('name'), 'name') ?? (reader.tryText(run) ?? words.join(' ')).trim(),
    words,
    withinSeconds,
    retry: reader.boolean(fields.get('retry'), 'retry') ?? false,
    exitStatus: readStatus(reader, expect.get('exit')),
    stdout: readTexts(reader, expect.get('stdout'), 'stdout'),
    stderr: readTexts(reader, expect.get('stderr'), 'stderr'),
  };
}

function readStatus(reader: NodeReader, node: Node | undefined): number | undefined {
  if (node === undefined) return 0;
  if (reader.tryText(node) === 'any') return undefined;
  const status = reader.number(node, 'exit');
  if (status !== undefined && Number.isInteger(status) && status >= 0 && status <= 255) return status;
  throw reader.error(node, 'exit is an exit status, 0 to 255, or any');
}

const kinds = ['contains', 'lacks', 'equals', 'matches'] as const;

/** A text that is to be contained; or several expectations by name, each a text or a list of texts. */
function readTexts(reader: NodeReader, node: Node | undefined, name: string): TextExpectation[] {
  if (node === undefined) return [];
  const text = reader.tryText(node);
  if (text !== undefined) return [{ kind: 'contains', text }];
  const fields = reader.fields(node, kinds, name);
  return kinds.flatMap((kind) => {
    const value = fields.get(kind);
    if (value === undefined) return [];
    const alone = reader.tryText(value);
    const texts = alone === undefined ? reader.texts(value, kind) : [alone];
    return texts.map((text): TextExpectation => {
      if (kind !== 'matches') return { kind, text };
      return { kind, pattern: readPattern(reader, value, text) };
    });
  });
}

function readPattern(reader: NodeReader, node: Node, text: string): RegExp {
  try {
    return new RegExp(text, 'mu');
  } catch (error) {
    throw reader.error(node, errorMessage(error));
  }
}
