/** ctrl-p ctrl-q */
const SEQUENCE = Buffer.from([0x10, 0x11]);

/**
 * Finds the keys that detach from a terminal in what is typed. The first of them is held back until the next key
 * tells what it was for.
 */
export class DetachKeys {
  #matched = 0;

  /** @returns what goes on to the container, and whether the user has detached */
  take(bytes: Uint8Array): { pass: Buffer; detached: boolean } {
    const pass: number[] = [];
    for (const byte of bytes) {
      if (byte === SEQUENCE[this.#matched]) {
        this.#matched += 1;
        if (this.#matched === SEQUENCE.length) return { pass: Buffer.from(pass), detached: true };
        continue;
      }
      pass.push(...SEQUENCE.subarray(0, this.#matched));
      this.#matched = 0;
      if (byte === SEQUENCE[0]) this.#matched = 1;
      else pass.push(byte);
    }
    return { pass: Buffer.from(pass), detached: false };
  }
}
