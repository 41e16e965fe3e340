const KEPT_LINES = 10;

/** Cuts a program's output into lines, hands them on, and keeps the last ones. */
export class OutputLines {
  readonly #onLine: (line: string) => void;
  readonly #last: string[] = [];
  #pending = '';

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  take(bytes: Buffer): void {
    const lines = (this.#pending + bytes.toString('utf8')).split('\n');
    this.#pending = lines.pop() ?? '';
    for (const line of lines) this.#line(line);
  }

  /** Call once: the last line need not have an end. */
  end(): void {
    if (this.#pending !== '') this.#line(this.#pending);
    this.#pending = '';
  }

  /** The last lines that said something. */
  get last(): readonly string[] {
    return this.#last;
  }

  #line(line: string): void {
    // What a progress bar has overwritten was never meant to stay.
    const shown = line.replace(/\r$/, '').replace(/^.*\r/, '');
    this.#onLine(shown);
    if (shown.trim() === '') return;
    this.#last.push(shown);
    if (this.#last.length > KEPT_LINES) this.#last.shift();
  }
}
