import { posix } from 'node:path';
import { allowedHint, wordError } from './dockerfile-error.ts';
import type { MountOptions } from './instruction.ts';
import { cut } from './words.ts';

const mountTypes = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'] as const;
const cacheSharings = ['shared', 'private', 'locked'] as const;

/** A `RUN --mount`, understood. */
export interface Mount {
  type: (typeof mountTypes)[number];
  /** Stage, stage index or image that a bind or cache takes its content from; undefined is the context. */
  from: string | undefined;
  source: string | undefined;
  /** Relative to the working directory. Undefined for a secret or ssh at its usual place. */
  target: string | undefined;
  readOnly: boolean;
  /** Of a cache, secret or ssh, also where none was written. */
  id: string | undefined;
  /** Of a cache. */
  sharing: (typeof cacheSharings)[number] | undefined;
  /** A secret or ssh socket that is not given fails the step. */
  required: boolean;
  /** Of a tmpfs. */
  sizeBytes: number | undefined;
  mode: number | undefined;
  uid: number | undefined;
  gid: number | undefined;
  /** The variable that holds a secret; empty where its id is to be the name. */
  env: string | undefined;
}

const KEYS =
  'type from source src target dst destination readonly ro readwrite rw id sharing required size mode uid gid env'.split(
    ' ',
  );
const WITHOUT_VALUE = ['readonly', 'ro', 'readwrite', 'rw', 'required'];

/**
 * Checks a `--mount` as far as it can be known before its variables are.
 * @throws IMGBOOT_DOCKERFILE (without a line)
 */
export function readMount(text: string): MountOptions {
  const fields = readFields(text);
  const from = fields.findLast(({ key }) => key === 'from')?.value;
  if (from !== undefined && /\$./.test(from)) {
    throw wordError(
      'from= of a --mount has no variables',
      'name a stage: FROM $IMAGE AS name, and from=name',
    );
  }
  if (!text.includes('$')) resolveMount({ text, from }, (word) => word);
  return { text, from };
}

/**
 * Makes a mount of its options, each value expanded.
 * @throws IMGBOOT_DOCKERFILE (without a line) for a value that cannot be, or a key that the type does not have
 */
export function resolveMount(options: MountOptions, expand: (word: string) => string): Mount {
  const fields = readFields(options.text).map(({ key, value }) => ({ key, value: value && expand(value) }));
  const mount: Mount = {
    type: 'bind',
    from: undefined,
    source: undefined,
    target: undefined,
    readOnly: false,
    id: undefined,
    sharing: undefined,
    required: false,
    sizeBytes: undefined,
    mode: undefined,
    uid: undefined,
    gid: undefined,
    env: undefined,
  };
  const type = fields.findLast(({ key }) => key === 'type')?.value;
  if (type !== undefined) mount.type = oneOf('mount type', type, mountTypes);
  mount.readOnly = mount.type !== 'cache' && mount.type !== 'tmpfs';
  for (const { key, value } of fields) setField(mount, key, value);
  checkType(mount);
  mount.id ??= defaultId(mount);
  if (mount.type === 'cache') mount.sharing ??= 'shared';
  return mount;
}

interface Field {
  key: string;
  value: string | undefined;
}

function readFields(text: string): Field[] {
  return splitCsv(text).map((field) => {
    const [name, value] = cut(field);
    const key = name.trim().toLowerCase();
    if (!KEYS.includes(key)) throw wordError(`unknown key ${name} in --mount`, allowedHint(key, KEYS));
    if (value === undefined && !WITHOUT_VALUE.includes(key)) {
      throw wordError(`${key} lacks its value in --mount`, `write ${key}=VALUE`);
    }
    return { key, value };
  });
}

function setField(mount: Mount, key: string, value: string | undefined): void {
  const text = value ?? '';
  switch (key) {
    case 'from':
      mount.from = text === '' ? undefined : text;
      break;
    case 'source':
    case 'src':
      mount.source = text;
      break;
    case 'target':
    case 'dst':
    case 'destination':
      mount.target = text;
      break;
    case 'readonly':
    case 'ro':
      mount.readOnly = readBoolean(key, value);
      break;
    case 'readwrite':
    case 'rw':
      mount.readOnly = !readBoolean(key, value);
      break;
    case 'required':
      mount.required = readBoolean(key, value);
      break;
    case 'id':
      mount.id = text;
      break;
    case 'sharing':
      mount.sharing = oneOf('sharing', text, cacheSharings);
      break;
    case 'size':
      mount.sizeBytes = readSize(text);
      break;
    case 'mode':
      mount.mode = readNumber(key, text, { octal: true });
      break;
    case 'uid':
      mount.uid = readNumber(key, text, { octal: false });
      break;
    case 'gid':
      mount.gid = readNumber(key, text, { octal: false });
      break;
    case 'env':
      mount.env = text;
      break;
  }
}

/** What a type does not have, and what it cannot be without. */
function checkType(mount: Mount): void {
  const { type } = mount;
  const isFile = type === 'secret' || type === 'ssh';
  const takesOwner = isFile || type === 'cache';
  const misplaced = [
    mount.from !== undefined && type !== 'bind' && type !== 'cache' && 'from',
    mount.sharing !== undefined && type !== 'cache' && 'sharing',
    mount.sizeBytes !== undefined && type !== 'tmpfs' && 'size',
    mount.required && !isFile && 'required',
    mount.env !== undefined && type !== 'secret' && 'env',
    mount.mode !== undefined && !takesOwner && 'mode',
    mount.uid !== undefined && !takesOwner && 'uid',
    mount.gid !== undefined && !takesOwner && 'gid',
  ].find((name) => name !== false);
  if (misplaced !== undefined) throw wordError(`a ${type} mount has no ${misplaced}`);
  if (!isFile && (mount.target === undefined || mount.target === '')) {
    throw wordError(`a ${type} mount lacks its target`, 'write target=DIRECTORY');
  }
  if (type !== 'secret') return;
  if (mount.source !== undefined && mount.id !== undefined) {
    throw wordError(
      'a secret has an id or a source, not both',
      'write id=NAME, as in --secret id=NAME,src=FILE',
    );
  }
  if (mount.source === undefined && mount.id === undefined && mount.target === undefined) {
    throw wordError('a secret lacks its id', 'write id=NAME, as in --secret id=NAME,src=FILE');
  }
}

/** As Docker names what has no id. */
function defaultId({ type, source, target }: Mount): string | undefined {
  switch (type) {
    case 'cache':
      return posix.normalize(target!).replace(/(?<=.)\/$/, '');
    case 'secret':
      return source ?? posix.basename(target!);
    case 'ssh':
      return 'default';
    default:
      return undefined;
  }
}

function oneOf<T extends string>(what: string, text: string, allowed: readonly T[]): T {
  const found = allowed.find((name) => name === text.toLowerCase());
  if (found === undefined)
    throw wordError(`unknown ${what} ${JSON.stringify(text)}`, allowedHint(text, allowed));
  return found;
}

/** As Go's strconv.ParseBool; no value is yes. */
function readBoolean(key: string, value: string | undefined): boolean {
  if (value === undefined || /^(?:1|t|true)$/i.test(value)) return true;
  if (/^(?:0|f|false)$/i.test(value)) return false;
  throw wordError(`${key} is true or false, not ${JSON.stringify(value)}`);
}

function readNumber(key: string, text: string, { octal }: { octal: boolean }): number {
  const number = octal ? /^[0-7]{1,11}$/.exec(text) : /^[0-9]{1,10}$/.exec(text);
  const value = number === null ? Infinity : Number.parseInt(text, octal ? 8 : 10);
  if (value > 0xffff_ffff) {
    throw wordError(`${key} is ${octal ? 'an octal number' : 'a number'}, not ${JSON.stringify(text)}`);
  }
  return value;
}

/** Bytes, with k, m, g, t or p for powers of 1024. */
function readSize(text: string): number {
  const match = /^([0-9]+(?:\.[0-9]+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text);
  const bytes =
    match === null ? NaN : Number(match[1]) * 1024 ** ' kmgtp'.indexOf(match[2]!.toLowerCase() || ' ');
  if (!(bytes <= Number.MAX_SAFE_INTEGER)) {
    throw wordError(`size is a number of bytes such as 64m, not ${JSON.stringify(text)}`);
  }
  return Math.floor(bytes);
}

/** One line of comma-separated values; a quoted one may hold commas. @see RFC 4180 */
function splitCsv(text: string): string[] {
  const fields: string[] = [];
  const field = /"((?:[^"]|"")*)"(?=,|$)|([^",]*)(?=,|$)/y;
  for (let position = 0; ; position = field.lastIndex + 1) {
    field.lastIndex = position;
    const match = field.exec(text);
    if (match === null) throw wordError(`the quotes in --mount=${text} do not match`);
    fields.push(match[1]?.replaceAll('""', '"') ?? match[2]!);
    if (field.lastIndex >= text.length) return fields;
  }
}
