/** Sizes are rounded up to this, so that one piece of memory serves many files. */
const GRAIN_BYTES = 64 * 1024;

/**
 * Memory for files that are unpacked one after the other. Fresh memory for each costs more than unpacking a small
 * one: the kernel clears its pages, and the garbage collector runs to take it back.
 */
export class ScratchPool {
  readonly #free: ArrayBuffer[] = [];
  readonly #ours = new WeakSet<ArrayBufferLike>();

  /** Bytes with any content. */
  take(sizeBytes: number): Buffer {
    const at = this.#free.findIndex(({ byteLength }) => byteLength >= sizeBytes);
    const memory = at === -1 ? this.#allocate(sizeBytes) : this.#free.splice(at, 1)[0]!;
    return Buffer.from(memory, 0, sizeBytes);
  }

  /** Gives back what {@link take} gave and nobody reads any more; other bytes are let pass. */
  give(bytes: Buffer): void {
    const memory = bytes.buffer;
    if (!this.#ours.has(memory)) return;
    this.#free.push(memory as ArrayBuffer);
    // The smallest that fits is found first.
    this.#free.sort((a, b) => a.byteLength - b.byteLength);
  }

  #allocate(sizeBytes: number): ArrayBuffer {
    // What is too small for this would hardly fit the next large one either.
    this.#free.pop();
    const memory = new ArrayBuffer(Math.ceil((sizeBytes + 1) / GRAIN_BYTES) * GRAIN_BYTES);
    this.#ours.add(memory);
    return memory;
  }
}
