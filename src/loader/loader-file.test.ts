import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeOurLines } from './loader-file.ts';

describe('our lines in a file of others', () => {
  let directory: string;
  let file: string;
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'imgboot-loader-file-'));
    file = path.join(directory, 'loader.conf');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it.each(['', '\n', 'timeout 3', 'timeout 3\n', 'timeout 3\n\n', '# BEGIN imgboot\nnot ended\n'])(
    'come and go, and leave %j as it was',
    (before) => {
      writeFileSync(file, before);
      writeOurLines(file, ['default a']);
      expect(readFileSync(file, 'utf8')).toMatch(
        /\n?# BEGIN imgboot(?: \(\+\))?\ndefault a\n# END imgboot\n$/,
      );
      writeOurLines(file, ['default b']);
      expect(readFileSync(file, 'utf8')).toContain('default b');
      expect(readFileSync(file, 'utf8')).not.toContain('default a');
      writeOurLines(file, []);
      expect(readFileSync(file, 'utf8')).toBe(before);
    },
  );

  it('stay at their place while others write after them', () => {
    writeFileSync(file, 'timeout 3');
    writeOurLines(file, ['default a']);
    writeFileSync(file, `${readFileSync(file, 'utf8')}editor no\n`);
    writeOurLines(file, []);
    expect(readFileSync(file, 'utf8')).toBe('timeout 3\neditor no\n');
  });

  it('take a file of their own along', () => {
    writeOurLines(file, ['default a']);
    writeOurLines(file, []);
    expect(readdirSync(directory)).toEqual([]);
  });
});
