import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ignoringRule } from './ignore.ts';
import { ignoredPaths } from './ignored-paths.ts';

describe('the list of ignored paths', () => {
  it.each([
    ['etc/machine-id', '/etc/machine-id'],
    ['etc/machine-id/x', undefined],
    ['etc/machine-id2', undefined],
    ['var/log', '/var/log/'],
    ['var/log/a/b', '/var/log/'],
    ['var/logs', undefined],
    ['home/me/.cache/x', '/home/*/.cache/'],
    ['home/me/deep/.cache/x', undefined],
    ['home/.cache', undefined],
    ['usr/lib/python3.13/__pycache__/os.pyc', '/usr/lib/python3*/**/__pycache__/'],
    ['usr/lib/python3/dist-packages/apt/__pycache__/x.pyc', '/usr/lib/python3*/**/__pycache__/'],
    ['usr/lib/python3/dist-packages/apt/x.py', undefined],
    ['var/lib/dpkg/status', undefined],
    ['var/lib/dpkg/status-old', '/var/lib/dpkg/*-old'],
    ['var/lib/NetworkManager/a-b.lease', '/var/lib/NetworkManager/*.lease'],
    ['etc/passwd', undefined],
    ['', undefined],
  ])('has %j under %j', (path, rule) => {
    expect(ignoringRule(path)).toBe(rule);
  });

  it('is what docs/drift.md says', () => {
    const text = readFileSync(new URL('../../docs/drift.md', import.meta.url), 'utf8');
    const section = text.slice(text.indexOf('\n## What every boot changes\n'));
    const rows = [...section.matchAll(/^\| (.*?) +\| (`.*`) +\|$/gm)].map((match) => ({
      why: match[1],
      paths: match[2]!.split(', ').map((path) => path.slice(1, -1)),
    }));
    expect(rows).toEqual(ignoredPaths);
  });
});
