import type { Answer, Origin, Stop, Why } from '../origin/why.ts';
import { localTime } from './boot-table.ts';
import { humanSize, printable } from './table.ts';

/** Of an instruction. */
const MAX_WIDTH = 120;

/** A block for each path on the way: what it is, who made it that, whose it is, and what was done to it before. */
export function whyLines({ answers }: Why): string {
  return answers.flatMap(answerLines).map(printable).join('\n');
}

function answerLines({ through, stops }: Answer): string[] {
  const links = through.map(({ path, target }) => `${path} -> ${target}`).join(', ');
  return stops.flatMap((stop, index) => {
    const by = index === 0 && links !== '' ? ` (by ${links})` : '';
    return [`${stop.path}${by}: ${describe(stop)}`, ...detail(stop).map((line) => `  ${line}`)];
  });
}

function describe({ is, by }: Stop): string {
  if (is === null)
    return by === null ? 'nothing is there, and never was' : by.kind === 'mount' ? 'elsewhere' : 'deleted';
  if (is.type === 'symlink') return `link to ${is.target}`;
  const mode = is.mode.toString(8).padStart(4, '0');
  const size = is.type === 'file' ? `, ${humanSize(is.sizeBytes)}` : '';
  return `${is.type}${size}, mode ${mode}, owner ${is.uid}:${is.gid}`;
}

function detail({ is, by, changes, packages }: Stop): string[] {
  const owners = packages.map(({ name, version }) => `${name} ${version}`);
  // Of a directory it may be half the system.
  const shown = owners.length > 4 ? [...owners.slice(0, 3), `and ${owners.length - 3} more`] : owners;
  const decisive = changes.findIndex((change) => change.by === by);
  return [
    ...(by === null ? [] : [`${is === null && by.kind !== 'mount' ? 'by' : 'from'} ${origin(by)}`]),
    ...changes.flatMap((change, index) =>
      index === decisive ? [] : `${words(change)} by ${origin(change.by)}`,
    ),
    ...(shown.length === 0 ? [] : [`package ${shown.join(', ')}`]),
  ];
}

function words({ kind, aspects, with: directory }: Stop['changes'][number]): string {
  if (kind === 'changed') return `${aspects.join(', ')} changed`;
  return directory === undefined ? kind : `${kind} with ${directory}`;
}

function origin(by: Origin): string {
  switch (by.kind) {
    case 'layer':
      return `layer ${by.number} of ${by.of}${by.instruction === '' ? '' : `: ${shortened(by.instruction)}`}`;
    case 'top layer':
      return 'the top layer';
    case 'boot':
      return [
        by.boot === null
          ? by.layer === null
            ? 'the running system'
            : 'a running system'
          : `boot ${by.boot}`,
        ...(by.time === null ? [] : [localTime(by.time)]),
        by.layer ?? 'in RAM',
      ].join(', ');
    case 'persistent directory':
      return `the persistent directory ${by.path}${by.time === null ? '' : `, changed ${localTime(by.time)}`}`;
    case 'mount':
      return `${by.path}, where ${by.source} (${by.fstype}) is mounted`;
    default:
      return by satisfies never;
  }
}

/** Some instructions are programs. */
function shortened(text: string): string {
  return text.length <= MAX_WIDTH ? text : `${text.slice(0, MAX_WIDTH - 4)} ...`;
}
