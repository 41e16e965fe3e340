import { describe, expect, it } from 'vitest';
import { age, humanSize, table } from './table.ts';

describe('a table', () => {
  it('has columns as wide as their longest cell', () => {
    expect(
      table(
        ['NAME', 'N'],
        [
          ['a-long-name', '1'],
          ['b', '22'],
        ],
      ),
    ).toBe('NAME         N\na-long-name  1\nb            22');
  });

  it('shows no control characters, which a terminal would obey', () => {
    expect(table(['A'], [['x\x1b[2J\ny\x9b1m\u202ez']])).toBe('A\nx [2J y 1m z');
  });
});

describe('sizes and ages', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [353_154_560, '353 MB'],
    [2e12, '2.0 TB'],
  ])('%i bytes are %s', (bytes, text) => {
    expect(humanSize(bytes)).toBe(text);
  });

  it.each([
    ['2026-01-01T00:00:00Z', '0 seconds ago'],
    ['2025-12-31T23:59:00Z', '1 minute ago'],
    ['2025-12-30T00:00:00Z', '2 days ago'],
    ['1970-01-01T00:00:00Z', '56 years ago'],
    ['2027-01-01T00:00:00Z', '0 seconds ago'],
    ['not a time', ''],
    [null, ''],
  ])('%s was %s', (moment, text) => {
    expect(age(moment, Date.parse('2026-01-01T00:00:00Z'))).toBe(text);
  });
});
