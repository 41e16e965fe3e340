import { existsSync } from 'node:fs';
import { ImgbootError } from '../errors.ts';
import type { EntryType } from '../layer/tar-entry.ts';
import type { Difference } from '../layer/differences.ts';
import type { Store } from '../store/store.ts';
import { jobModule, runIsolated } from '../system/isolate.ts';
import type { OperationOptions } from '../system/progress.ts';
import { parseShownName, showName } from '../top-layer/show.ts';
import { TemporaryDirectory } from '../system/temporary-directory.ts';
import type { InstalledPackage } from '../packages/package.ts';
import type { LevelChange } from './path-changes.ts';
import {
  findSubject,
  type LayerOrigin,
  type MountPlace,
  type PersistPlace,
  type Subject,
  type SubjectChoice,
  type TopLayerOrigin,
} from './subject.ts';
import { bootsThatWrote } from './writing-boot.ts';
import { runJob, type JobPlace, type StopFacts, type WhyFacts, type WhyJob } from './why.job.ts';

/** Why paths of a root file system are as they are. */
export interface Why {
  kind: Subject['kind'];
  /** The version of a deployment, or the image. */
  of: string;
  running: boolean;
  /** In the order of the questions. */
  answers: Answer[];
  notes: string[];
}

export interface Answer {
  /** The path as it was given; all others are as showName has them: what is no printable text as `\\xNN`. */
  asked: string;
  /** The links among its directories that were followed. */
  through: { path: string; target: string }[];
  /** The path; where it is a link, what that leads to; and so on. */
  stops: Stop[];
}

export interface Stop {
  path: string;
  /** Undefined where nothing is there (any more). */
  is: {
    type: EntryType | 'socket';
    mode: number;
    uid: number;
    gid: number;
    sizeBytes: number;
    target?: string;
  } | null;
  /** Who made it what it is: who wrote its content, or who deleted it. */
  by: Origin | null;
  /** Everything that was done to it, the latest first. */
  changes: { kind: 'added' | 'changed' | 'deleted'; aspects: Difference[]; with?: string; by: Origin }[];
  /** Those that own it. */
  packages: InstalledPackage[];
}

export type Origin = LayerOrigin | TopLayerOrigin | BootOrigin | PersistOrigin | MountPlace;

/** A system wrote it while it ran. */
export interface BootOrigin {
  kind: 'boot';
  /** In the store: `deployments/desktop/3/ephemeral`; null in RAM. */
  layer: string | null;
  /** As `imgboot boots` numbers it; null where its report is not kept, or several boots may have done it. */
  boot: number | null;
  /** RFC 3339; null where that cannot be told. */
  time: string | null;
}

/** It lies in a directory that outlives images. */
interface PersistOrigin extends PersistPlace {
  /** When it was last changed. */
  time: string | null;
}

/**
 * Who wrote, or deleted, what lies at each path: the image's layer with its instruction, the top layer, or a boot; and
 * whose package it is. Reads only. Needs root.
 * @param paths absolute
 * @throws IMGBOOT_NO_SUCH_FILE where nothing is at any of them, and never was
 */
export async function why(
  store: Store,
  { paths, name, layer, ...options }: OperationOptions & SubjectChoice & { paths: readonly string[] },
): Promise<Why> {
  // A backslash may be meant as it is, or stand for a byte that is no text, as our own answers have it.
  const meanings = paths.map((path) => [...new Set([checkPath(path), parseShownName(path)])]);
  const subject = await findSubject(store, { name, layer });
  requireLevels(subject);
  const facts = await look(store, subject, { paths: meanings.flat(), options });
  const originOf = originsOf(store, subject);
  const trails = [...facts.trails];
  const answers = meanings.map((meant, index): Answer => {
    const found = trails.splice(0, meant.length).map(({ through, stops }): Answer => ({
      asked: paths[index]!,
      through: through.map(({ path, target }) => ({ path: showName(path), target: showName(target) })),
      stops: stops.map((stop) => stopOf(stop, { subject, originOf })),
    }));
    return found.find((answer) => !isUnknown(answer)) ?? found[0]!;
  });
  if (!answers.every(isUnknown)) {
    const notes = [...subject.notes, ...facts.unread];
    return { kind: subject.kind, of: subject.name, running: subject.running, answers, notes };
  }
  throw new ImgbootError(
    'IMGBOOT_NO_SUCH_FILE',
    `${subject.name} has no ${paths.join(', ')}, and never had`,
    {
      hint: 'a path is looked up as the system itself sees it: absolute, from its own root',
    },
  );
}

/** Whether nothing is there, and never was. */
export function isUnknown({ stops: [first] }: Answer): boolean {
  return first!.is === null && first!.by === null;
}

/** @returns the path as a byte string. @throws IMGBOOT_USAGE */
function checkPath(path: string): string {
  if (!path.startsWith('/')) {
    throw new ImgbootError('IMGBOOT_USAGE', `${JSON.stringify(path)} is no absolute path`, {
      hint: 'imgboot why [DEPLOYMENT|IMAGE] /etc/passwd',
    });
  }
  if (path.includes('\uFFFD') || path.includes('\0')) {
    throw new ImgbootError('IMGBOOT_USAGE', `the path ${JSON.stringify(path)} is not UTF-8`, {
      hint: 'write each byte that is no text as \\xNN, and a backslash as two',
    });
  }
  return Buffer.from(path).toString('latin1');
}

function requireLevels(subject: Subject): void {
  const missing = subject.levels.find(({ level }) => !existsSync(level.directory));
  if (missing === undefined) return;
  throw new ImgbootError('IMGBOOT_LAYER_MISSING', `${subject.name} has lost ${missing.level.directory}`, {
    hint: 'imgboot fsck says what the store has lost',
  });
}

async function look(
  store: Store,
  subject: Subject,
  { paths, options }: { paths: string[]; options: OperationOptions },
): Promise<WhyFacts> {
  const levels = subject.levels.map(({ level }) => level);
  const job = { paths, levels, places: subject.places.map(jobPlace) };
  const top = levels.at(-1)!;
  // A running overlay is not mounted once more.
  if (subject.running && !top.whole) return await runJob({ ...job, root: '/' });
  if (top.whole || levels.length === 1) return await runJob({ ...job, root: top.directory });
  await using scratch = await TemporaryDirectory.create();
  const lower = levels.map(({ directory }) => directory).toReversed();
  const root = { layers: store.paths.layers, lower, mountPoint: scratch.path };
  return await runIsolated<WhyJob, WhyFacts>(
    jobModule(import.meta.url, 'why.job'),
    { ...job, root },
    options,
  );
}

function jobPlace(place: Subject['places'][number]): JobPlace {
  const path = Buffer.from(place.path).toString('latin1');
  if (place.kind === 'persistent directory') return { path, directory: place.directory, hasLinks: true };
  // What is in /proc is another's for each who asks.
  return { path, directory: place.fstype === 'proc' ? undefined : place.path, hasLinks: false };
}

function stopOf(
  facts: StopFacts,
  { subject, originOf }: { subject: Subject; originOf: (change: LevelChange) => Origin },
): Stop {
  const { there } = facts;
  const place = placeOf(subject, facts);
  const changes = facts.changes.map((change) => ({
    kind: change.kind,
    aspects: change.aspects,
    ...(change.with === undefined ? {} : { with: showName(change.with) }),
    by: originOf(change),
  }));
  const decisive = changes.find(({ kind, aspects }) => kind !== 'changed' || aspects.some(isMatter));
  return {
    path: showName(facts.path),
    is:
      there === undefined
        ? null
        : {
            type: there.type ?? 'socket',
            mode: there.mode,
            uid: there.uid,
            gid: there.gid,
            sizeBytes: there.sizeBytes,
            ...(there.target === undefined ? {} : { target: showName(there.target) }),
          },
    by: place ?? decisive?.by ?? null,
    changes,
    packages: facts.packages,
  };
}

/** What a file is, not how it is labelled. */
function isMatter(aspect: Difference): boolean {
  return ['type', 'content', 'target', 'device'].includes(aspect);
}

function originsOf(store: Store, { levels }: Subject): (change: LevelChange) => Origin {
  const writable = levels.map(({ by }) => by).find((by) => by.kind === 'writable layer');
  const bootThatWrote = writable && bootsThatWrote(store.paths, writable.layer);
  return ({ level, timeNs }) => {
    const { by } = levels[level]!;
    if (by.kind !== 'writable layer') return by;
    const boot = bootThatWrote?.(timeNs)?.number ?? null;
    return { kind: 'boot', layer: by.layer, boot, time: timeNs === undefined ? null : asTime(timeNs) };
  };
}

/** What is not of the levels. */
function placeOf({ places }: Subject, { place, there }: StopFacts): Origin | undefined {
  const found = place === undefined ? undefined : places[place];
  if (found?.kind !== 'persistent directory') return found;
  return { ...found, time: there === undefined ? null : asTime(there.changedNs) };
}

function asTime(ns: bigint): string {
  return new Date(Number(ns / 1_000_000n)).toISOString();
}
