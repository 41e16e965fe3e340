import type { InstalledPackage } from './package.ts';

/** Which of two versions of a package is newer, as its manager has it: less than 0 where the second is. */
export function compareVersions(manager: InstalledPackage['manager'], a: string, b: string): number {
  if (a === b) return 0;
  switch (manager) {
    case 'dpkg':
      return byEpoch(a, b, compareDebian);
    case 'rpm':
      return byEpoch(a, b, compareRpm);
    case 'pacman':
      return byEpoch(a, b, comparePacman);
    case 'apk':
      return compareAlpine(a, b);
    default:
      return manager satisfies never;
  }
}

/** `[epoch:]version[-release]`: each decides before the next. */
function byEpoch(a: string, b: string, compare: (a: string, b: string) => number): number {
  const [first, second] = [split(a), split(b)];
  return (
    first.epoch - second.epoch ||
    compare(first.version, second.version) ||
    compare(first.release, second.release)
  );
}

function split(text: string): { epoch: number; version: string; release: string } {
  const [, epoch, rest] = /^(?:(\d+):)?(.*)$/s.exec(text)!;
  const dash = rest!.lastIndexOf('-');
  return {
    epoch: Number(epoch ?? 0),
    version: dash === -1 ? rest! : rest!.slice(0, dash),
    release: dash === -1 ? '' : rest!.slice(dash + 1),
  };
}

/** Runs of other characters and of digits take turns. @see deb-version(7), "Sorting algorithm" */
function compareDebian(a: string, b: string): number {
  const [first, second] = [a.matchAll(/(\D*)(\d*)/g), b.matchAll(/(\D*)(\d*)/g)].map((matches) => [
    ...matches,
  ]);
  for (let at = 0; at < Math.max(first!.length, second!.length); at += 1) {
    const [, text = '', digits = ''] = first![at] ?? [];
    const [, otherText = '', otherDigits = ''] = second![at] ?? [];
    const order = compareText(text, otherText) || compareDigits(digits, otherDigits);
    if (order !== 0) return order;
  }
  return 0;
}

/** A tilde comes before the end, the end before letters, and letters before all else. */
function compareText(a: string, b: string): number {
  const weight = (char: string | undefined): number => {
    if (char === undefined) return 0;
    if (char === '~') return -1;
    return /[A-Za-z]/.test(char) ? char.charCodeAt(0) : char.charCodeAt(0) + 256;
  };
  for (let at = 0; at < Math.max(a.length, b.length); at += 1) {
    const order = weight(a[at]) - weight(b[at]);
    if (order !== 0) return order;
  }
  return 0;
}

/** Numbers of any length; none is 0. */
function compareDigits(a: string, b: string): number {
  const [first, second] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')];
  if (first.length !== second.length) return first.length - second.length;
  return first < second ? -1 : first > second ? 1 : 0;
}

/**
 * Runs of letters and of digits, whatever is between them; digits are newer than letters; `~` comes before the end, and
 * `^` after it and before all else. @see rpm-version(7)
 */
function compareRpm(a: string, b: string): number {
  const [first, second] = [a, b].map((text) => text.match(/\d+|[A-Za-z]+|~|\^/g) ?? []);
  for (let at = 0; ; at += 1) {
    const [ours, theirs] = [first![at], second![at]];
    if (ours === theirs) {
      if (ours === undefined) return 0;
      continue;
    }
    if (ours === '~' || theirs === '~') return ours === '~' ? -1 : 1;
    if (ours === undefined || theirs === undefined) return ours === undefined ? -1 : 1;
    if (ours === '^' || theirs === '^') return ours === '^' ? -1 : 1;
    const order = compareRuns(ours, theirs);
    if (order !== 0) return order;
  }
}

/** As rpm, but what is more of letters right behind the rest is older, and more between two runs is newer. @see vercmp(8) */
function comparePacman(a: string, b: string): number {
  const runs = (text: string): RegExpMatchArray[] => [...text.matchAll(/([^0-9A-Za-z]*)(\d+|[A-Za-z]+|$)/g)];
  const [first, second] = [runs(a), runs(b)];
  for (let at = 0; ; at += 1) {
    const [, gap = '', ours = ''] = first[at] ?? [];
    const [, otherGap = '', theirs = ''] = second[at] ?? [];
    if (ours === '' || theirs === '') {
      if (ours === theirs) return 0;
      const isLetters =
        ours === '' ? otherGap === '' && /^[A-Za-z]/.test(theirs) : gap === '' && /^[A-Za-z]/.test(ours);
      return (ours === '') === isLetters ? 1 : -1;
    }
    const order = gap.length - otherGap.length || compareRuns(ours, theirs);
    if (order !== 0) return order;
  }
}

/** Of digits or of letters. */
function compareRuns(a: string, b: string): number {
  const [isNumber, isOther] = [/^\d/.test(a), /^\d/.test(b)];
  if (isNumber !== isOther) return isNumber ? 1 : -1;
  if (isNumber) return compareDigits(a, b);
  return a < b ? -1 : a > b ? 1 : 0;
}

const SUFFIXES = ['alpha', 'beta', 'pre', 'rc', '', 'cvs', 'svn', 'git', 'hg', 'p'];

/** `1.2.3a_rc4-r5`. @see apk-package(5), "PACKAGE METADATA", pkgver */
function compareAlpine(a: string, b: string): number {
  const [first, second] = [alpine(a), alpine(b)];
  for (let at = 0; at < Math.max(first.numbers.length, second.numbers.length); at += 1) {
    const [ours, theirs] = [first.numbers[at], second.numbers[at]];
    if (ours === undefined || theirs === undefined) return ours === undefined ? -1 : 1;
    // But for the first, a number with a zero before it is a fraction.
    const isFraction = at > 0 && (ours.startsWith('0') || theirs.startsWith('0'));
    const order = isFraction ? (ours < theirs ? -1 : ours > theirs ? 1 : 0) : compareDigits(ours, theirs);
    if (order !== 0) return order;
  }
  if (first.letter !== second.letter) return first.letter < second.letter ? -1 : 1;
  for (let at = 0; at < Math.max(first.suffixes.length, second.suffixes.length); at += 1) {
    const [name, digits] = first.suffixes[at] ?? ['', ''];
    const [otherName, otherDigits] = second.suffixes[at] ?? ['', ''];
    const order = SUFFIXES.indexOf(name) - SUFFIXES.indexOf(otherName) || compareDigits(digits, otherDigits);
    if (order !== 0) return order;
  }
  return compareDigits(first.release, second.release);
}

function alpine(text: string): {
  numbers: string[];
  letter: string;
  suffixes: [name: string, digits: string][];
  release: string;
} {
  const [, numbers = '', letter = '', suffixes = '', release = ''] =
    /^([\d.]*)([a-z]?)((?:_[a-z]+\d*)*)(?:~[0-9a-f]+)?(?:-r(\d+))?/.exec(text) ?? [];
  return {
    numbers: numbers.split('.'),
    letter,
    suffixes: [...suffixes.matchAll(/_([a-z]+)(\d*)/g)].map(([, name, digits]) => [name!, digits!]),
    release,
  };
}
