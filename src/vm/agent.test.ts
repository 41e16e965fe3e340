import { execFileSync } from 'node:child_process';
import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { GuestAgent, pieces } from './agent.ts';

describe("a word on its way to a guest's agent", () => {
  it.each([['plain'], [''], ['a b\n\n'], [`"'\\$(x)%s*`], ['\\0101'], ['ärger\t☃'], ['x'.repeat(1000)]])(
    'is what printf makes of its pieces: %j',
    (word) => {
      const made = pieces(word).map((piece) => execFileSync('sh', ['-c', 'printf "%b" "$1"', 'sh', piece]));
      expect(Buffer.concat(made).toString()).toBe(word);
    },
  );

  it('fits the line that a terminal keeps, whatever its bytes', () => {
    for (const piece of pieces('\n'.repeat(5000))) expect(piece.length).toBeLessThan(1024);
  });
});

describe("a guest's agent", () => {
  it('is told what to run, and tells how it ended', async () => {
    const port = new Port(['imgboot agent', 'ok', 'ok', 'ok', 'ended 3 4 2\na\nb\ncd']);
    const agent = new GuestAgent(port);
    await agent.ready({ timeoutMs: 1000 });
    const end = await agent.run(['ls', ''], { limitSeconds: 9 });
    expect([end.status, String(end.stdout), String(end.stderr)]).toEqual([3, 'a\nb\n', 'cd']);
    expect(port.written).toBe('word ls\nnext\nnext\nrun 9\n');
  });

  it.each(['ended 1', 'ended x 1 1', 'ended 1 1 99999999', 'what?'])(
    'that answers %j is not believed',
    async (answer) => {
      const agent = new GuestAgent(new Port(['imgboot agent', 'ok', 'ok', answer]));
      await agent.ready({ timeoutMs: 1000 });
      await expect(agent.run(['ls'], { limitSeconds: 9 })).rejects.toThrow('answers what makes no sense');
    },
  );

  it('that has ended fails what waits for it', async () => {
    const port = new Port(['imgboot agent']);
    const agent = new GuestAgent(port);
    await agent.ready({ timeoutMs: 1000 });
    const running = agent.start();
    port.destroy();
    await expect(running).rejects.toThrow('the machine ended');
    await expect(agent.start()).rejects.toThrow('the machine ended');
  });
});

/** A serial port with an agent that says its lines one after the other, the first by itself. */
class Port extends Duplex {
  written = '';
  readonly #answers: string[];

  constructor(answers: string[]) {
    super();
    this.#answers = answers;
    this.push(`${this.#answers.shift()}\n`);
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.written += chunk.toString();
    const answer = this.#answers.shift();
    if (answer !== undefined) this.push(answer.startsWith('ended 3') ? answer : `${answer}\n`);
    done();
  }
}
