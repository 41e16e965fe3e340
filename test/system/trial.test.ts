import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repository } from '../support/paths.ts';
import { BASE, ContainerHost, until } from '../support/container-host.ts';
import type { CliResult } from '../support/run-cli.ts';
import { drivers } from '../support/test-store.ts';

describe('a test file in a container', () => {
  let host: ContainerHost;
  beforeAll(async () => {
    host = await ContainerHost.create(drivers[0]);
  });
  afterAll(async () => host[Symbol.asyncDispose]());

  it('is carried out step by step, in one container that is gone afterwards', async () => {
    const result = await test(`
steps:
  - echo kept > /file
  - name: what one step leaves, the next one finds
    run: cat file; id -u; pwd
    expect: {stdout: {equals: "kept\\n0\\n/"}, stderr: {equals: ''}}
  - run: [nosuchprogram]
    expect: {exit: 127}
  - run: [/etc/passwd]
    expect: {exit: 126}
  - run: [sh, -c, 'printf "%s|" "$@"; echo no >&2; exit 5', sh, '', "a b\\n", '*']
    expect: {exit: 5, stdout: {equals: "|a b\\n|*|"}, stderr: no}
  - name: it may take a few tries
    run: echo x >> /count; test "$(wc -l < /count)" -ge 3
    retry: true
  - name: what goes on in the background holds nobody up
    run: sleep 60 &
    within: 5
`);
    expect(result).toMatchObject({ exitCode: 0 });
    const lines = result.stdout.split('\n').map((line) => line.replace(/ +[0-9.]+ s /, ''));
    expect(lines.slice(0, 2)).toEqual([
      'ok echo kept > /file',
      'ok what one step leaves, the next one finds',
    ]);
    expect(lines.at(-2)).toBe('All 7 steps were as expected.');
    expect(await host.leftovers()).toEqual([]);
  });

  it('ends at the first step that is not as expected, and shows what that printed', async () => {
    const result = await test(`
steps:
  - true
  - name: it answers
    run: echo all well; echo but this >&2
    expect: {stdout: all bad}
  - touch /never
`);
    expect(result.exitCode).toBe(1);
    expect(result.stdout.split('\n').slice(1)).toEqual([
      expect.stringMatching(/^FAILED +[0-9.]+ s {2}it answers: stdout does not contain "all bad"$/),
      '  stdout | all well',
      '  stderr | but this',
      'FAILED: it answers',
      '',
    ]);
  });

  it('ends what takes too long, with all that it started', async () => {
    const result = await test(`
steps:
  - {run: 'sleep 4321 & sleep 4322', within: 1, expect: {exit: any}}
`);
    expect(result.stdout).toContain('did not end within 1 s');
    expect((await execa('ps', ['-eo', 'args'])).stdout).not.toMatch(/sleep 432[12]/);
  });

  it('is reported as JSON', async () => {
    const result = await test('{"steps": [{"run": ["sh", "-c", "echo a; exit 1"]}]}', '--json');
    expect(result.exitCode).toBe(1);
    expect(JSON.parse(result.stdout)).toEqual({
      ok: false,
      steps: [
        {
          name: 'sh -c echo a; exit 1',
          ok: false,
          seconds: expect.any(Number) as number,
          why: 'exit status 1, expected 0',
          stdout: 'a',
          stderr: '',
        },
      ],
    });
  });

  it.each([
    ['steps: [{run: a, wat: 1}]', /^imgboot: .*test\.yaml:1: a step has no "wat"/],
    [Buffer.from('steps: ["\xff"]', 'latin1'), /^imgboot: the test .* cannot be read: .*not valid/],
  ])('that is wrong is refused before anything is started: %j', async (text, message) => {
    const result = await test(text);
    expect([result.exitCode, result.stdout]).toEqual([2, '']);
    expect(result.stderr).toMatch(message);
  });

  it('leaves nothing when it is stopped; when it was killed, the next one tidies up', async () => {
    writeFileSync(file(), 'steps: [sleep 4323]');
    const stopped = host.start('test', [BASE, file()]);
    await until(async () => (await execa('ps', ['-eo', 'args'])).stdout.includes('sleep 4323'));
    stopped.kill('SIGINT');
    expect((await stopped.ended).exitCode).toBe(130);
    expect(await host.leftovers()).toEqual([]);
    const killed = host.start('test', [BASE, file()]);
    await until(async () => (await execa('ps', ['-eo', 'args'])).stdout.includes('sleep 4323'));
    killed.kill('SIGKILL');
    await killed.ended;
    expect(host.containers()).toHaveLength(1);
    expect((await test('steps: [true]')).exitCode).toBe(0);
    expect(await host.leftovers()).toEqual([]);
  });

  function file(): string {
    return path.join(host.filesystem.mountPoint, 'test.yaml');
  }

  async function test(text: string | Buffer, ...args: string[]): Promise<CliResult> {
    writeFileSync(file(), text);
    return host.store.cli('test', [BASE, file(), ...args], { cwd: repository });
  }
});
