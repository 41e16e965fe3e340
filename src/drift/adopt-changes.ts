import { ImgbootError } from '../errors.ts';
import type { Store } from '../store/store.ts';
import type { OperationOptions } from '../system/progress.ts';
import type { TopLayerPlace } from '../top-layer/place.ts';
import { showTopLayerPlace } from '../top-layer/place.ts';
import { showName } from '../top-layer/show.ts';
import { adoptIntoDockerfile } from './adopt-dockerfile.ts';
import { adoptIntoLayer } from './adopt-layer.ts';
import { adoptIntoTopLayer, withoutDatabases } from './adopt-top-layer.ts';
import { chooseChanges, wantedPaths, wantsIgnored, type Chosen, type Wish } from './choose.ts';
import { diffRoot } from './diff-root.ts';
import { reportChange, type ReportedChange } from './drift-report.ts';
import { pathsOfTopLayer } from './hidden-paths.ts';
import type { RootChoice } from './kept-root.ts';

/** Where changes are to go. */
export type AdoptTarget =
  | { into: 'top-layer'; place: TopLayerPlace }
  /** `output`: the build context; `files`: packages by their files; `pin`: in just the versions that they have. */
  | { into: 'dockerfile'; output: string; files: boolean; pin: boolean }
  | { into: 'layer'; reference: string | undefined };

export interface AdoptRequest extends OperationOptions {
  choice: RootChoice;
  wish: Wish;
  target: AdoptTarget;
  dryRun: boolean;
}

/** What was brought where. */
export interface Adopted {
  into: AdoptTarget['into'];
  /** The top layer, the Dockerfile or the image's ID; null where nothing was done. */
  place: string | null;
  changes: ReportedChange[];
  /** What a Dockerfile got; empty for the others. */
  lines: string[];
  notes: string[];
}

/**
 * Brings changes of a root that were picked to where they outlive it.
 * @throws IMGBOOT_USAGE, IMGBOOT_NOT_CHANGED, and what reading the root and writing the target throws
 */
export async function adoptChanges(store: Store, request: AdoptRequest): Promise<Adopted> {
  const { target, dryRun, ...options } = request;
  const chosen = await chooseFrom(store, request);
  const shown = { into: target.into, notes: chosen.drift.notes, lines: [], place: null };
  const report = ({ drift, changes }: Chosen): ReportedChange[] =>
    changes.map((change) => reportChange(change, drift.packages));
  switch (target.into) {
    case 'top-layer': {
      const own = withoutDatabases(chosen, wantedPaths(request.wish));
      const notes = [...shown.notes, ...own.notes];
      const common = { ...shown, changes: report(own), notes };
      if (dryRun) return common;
      notes.push(...(await adoptIntoTopLayer(store, own, { ...options, place: target.place })));
      return { ...common, place: showTopLayerPlace(target.place) };
    }
    case 'dockerfile': {
      const own = target.files
        ? withoutDatabases(chosen, wantedPaths(request.wish))
        : { ...chosen, notes: [] };
      const made = await adoptIntoDockerfile(store, own, { ...options, ...target, dryRun });
      const notes = [...shown.notes, ...own.notes, ...made.notes, ...hiddenNotes(store, own)];
      return {
        ...shown,
        changes: report(own),
        lines: made.lines,
        notes,
        place: dryRun ? null : made.dockerfile,
      };
    }
    default: {
      const common = {
        ...shown,
        changes: report(chosen),
        notes: [...shown.notes, ...hiddenNotes(store, chosen)],
      };
      if (dryRun) return common;
      const createdBy = `imgboot deployment adopt ${wordsOf(request.wish)}`;
      return {
        ...common,
        place: await adoptIntoLayer(store, chosen, { ...options, reference: target.reference, createdBy }),
      };
    }
  }
}

/** Compares a root with what it was made of, and picks what is meant. @throws IMGBOOT_USAGE, IMGBOOT_NOT_CHANGED */
export async function chooseFrom(
  store: Store,
  { choice, wish, progress, signal }: OperationOptions & Pick<AdoptRequest, 'choice' | 'wish'>,
): Promise<Chosen> {
  if (!wish.all && wish.paths.length === 0 && wish.packages.length === 0) {
    throw new ImgbootError('IMGBOOT_USAGE', 'nothing is named that is to be adopted', {
      hint: 'name paths or a --package of imgboot deployment diff, or take --all that it shows',
    });
  }
  const everywhere = wantsIgnored(wantedPaths(wish));
  const drift = await diffRoot(store, choice, { progress, signal, everywhere });
  const changes = chooseChanges(drift, wish);
  if (changes.length > 0) return { drift, changes };
  throw new ImgbootError('IMGBOOT_NOT_CHANGED', `nothing was changed on ${drift.root.name}`);
}

/** What the image cannot decide. */
function hiddenNotes(store: Store, { drift, changes }: Chosen): string[] {
  const hidden = pathsOfTopLayer(
    store,
    drift.root,
    changes.map(({ path }) => path),
  );
  const names = hidden.map((path) => `/${showName(path)}`).join(', ');
  return names === '' ? [] : [`the top layer lies over the image, and has these, too: ${names}`];
}

function wordsOf({ paths, packages, all }: Wish): string {
  return [...(all ? ['--all'] : []), ...packages.map((name) => `--package ${name}`), ...paths].join(' ');
}
