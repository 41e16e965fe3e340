import type { Collisions } from '../deploy/collisions.ts';
import type { Effect } from '../top-layer/effects.ts';
import type { Examined } from '../top-layer/examine-image.ts';
import type { Finding } from '../top-layer/finding.ts';
import { showTopLayerPlace, type TopLayerPlace } from '../top-layer/place.ts';
import { showName } from '../top-layer/show.ts';

/** What `--json` prints of an examination: names are text. */
export interface TopLayerReport {
  topLayer: string;
  /** What it was looked at beside: an image, or a directory. */
  target: string;
  digest: string | null;
  files: number | null;
  findings: Finding[];
  /** How many places of the new root each action changes. */
  counts: Record<Effect['action'], number>;
  effects: (Effect & { difference?: string })[];
}

const actions = ['add', 'replace', 'alter', 'merge', 'delete', 'same', 'skip'] as const;

export function topLayerReport(
  examined: Examined,
  { place, target }: { place: TopLayerPlace; target: string },
): TopLayerReport {
  const { effects, findings, measure, texts } = examined;
  const count = (action: Effect['action']): number => effects.filter((one) => one.action === action).length;
  return {
    topLayer: showTopLayerPlace(place),
    target,
    digest: measure?.digest ?? null,
    files: measure?.files ?? null,
    findings,
    counts: Object.fromEntries(actions.map((action) => [action, count(action)])) as TopLayerReport['counts'],
    effects: effects.map((effect) => {
      const text = texts.get(effect.place);
      const shown = {
        ...effect,
        place: showName(effect.place),
        path: showName(effect.path),
        what: effect.what.map(showName),
      };
      if (text === undefined) return shown;
      return { ...shown, difference: text.kind === 'lines' ? text.unified : `(${text.why}: not shown)` };
    }),
  };
}

/** The collisions as lines, each with what to do. */
export function findingLines(findings: readonly Finding[]): string[] {
  return findings.flatMap(({ level, path, message, hint }) => [`${level}: ${path}: ${message}`, `  ${hint}`]);
}

/** What a deployment's top layer collides with, as lines. */
export function collisionLines({ findings, unchecked }: Collisions): string[] {
  if (unchecked !== null) return [`warning: the top layer was not checked against the image: ${unchecked}`];
  return findings.length === 0
    ? []
    : ['The top layer collides with the image (imgboot toplayer check):', ...findingLines(findings)];
}

/** A line for an effect: `replace  /etc/motd (content)`. */
export function effectLine({ action, place, path, what }: Effect): string {
  const from = path === place || action === 'delete' ? '' : `, from ${path}`;
  const by = action === 'delete' && path !== place ? `, by ${path}` : '';
  const more = what.length === 0 ? '' : ` (${what.join(', ')})`;
  return `${action.padEnd(8)} ${place}${more}${from}${by}`;
}

/** `3 added, 1 replaced`. */
export function countLine(counts: TopLayerReport['counts']): string {
  const words: [keyof TopLayerReport['counts'], string][] = [
    ['add', 'added'],
    ['replace', 'replaced'],
    ['alter', 'altered'],
    ['merge', 'merged'],
    ['delete', 'deleted'],
    ['same', 'the same'],
    ['skip', 'not copied'],
  ];
  const said = words.flatMap(([action, word]) => (counts[action] === 0 ? [] : `${counts[action]} ${word}`));
  return said.length === 0 ? 'nothing' : said.join(', ');
}

/** A text for a terminal: of control characters only its line ends and tabs are obeyed. */
export function safeText(text: string): string {
  return text.replaceAll(/[^\n\t\P{Cc}]|[\p{Cf}\u2028\u2029]/gu, (char) =>
    showName(Buffer.from(char).toString('latin1')),
  );
}
