const SLOTS = 8;
const SLOT_BYTES = 1 << 20;
/** Positions in the control words: how many slots were ever filled and taken, then the bytes in each. */
const FILLED = 0;
const TAKEN = 1;
const LENGTHS = 2;
/** The length of the slot that ends a sequence. */
const END = -1;

/**
 * Memory that two threads share: one fills slot after slot, the other takes them in the same order, and whoever is
 * ahead waits. What lies in a slot is copied nowhere and allocated once, so memory stays flat whatever flows through.
 */
export class Ring {
  readonly shared: SharedArrayBuffer;
  readonly #control: Int32Array;
  readonly #slots: Buffer[];

  /** @param shared the memory of a ring in another thread */
  constructor(shared = new SharedArrayBuffer(SLOTS * SLOT_BYTES + (LENGTHS + SLOTS) * 4)) {
    this.shared = shared;
    this.#control = new Int32Array(shared, SLOTS * SLOT_BYTES);
    this.#slots = Array.from({ length: SLOTS }, (_, index) =>
      Buffer.from(shared, index * SLOT_BYTES, SLOT_BYTES),
    );
  }

  /** The next slot to fill; waits until it is free. The filling thread's. */
  free(): Buffer {
    const filled = this.#control[FILLED]!;
    for (;;) {
      const taken = Atomics.load(this.#control, TAKEN);
      if (distance(filled, taken) < SLOTS) return this.#slots[index(filled)]!;
      Atomics.wait(this.#control, TAKEN, taken);
    }
  }

  /** Hands over the slot that {@link free} gave, with so many bytes in it. */
  fill(bytes: number): void {
    const filled = this.#control[FILLED]!;
    this.#control[LENGTHS + index(filled)] = bytes;
    Atomics.add(this.#control, FILLED, 1);
    Atomics.notify(this.#control, FILLED);
  }

  /** Ends the sequence; another may follow. */
  end(): void {
    this.free();
    this.fill(END);
  }

  /** Calls `use` with each filled slot's bytes, which are lent, up to the end of the sequence. The taking thread's. */
  drain(use: (bytes: Buffer) => void): void {
    for (;;) {
      const taken = this.#control[TAKEN]!;
      while (Atomics.load(this.#control, FILLED) === taken) Atomics.wait(this.#control, FILLED, taken);
      const length = this.#control[LENGTHS + index(taken)]!;
      if (length !== END) use(this.#slots[index(taken)]!.subarray(0, length));
      Atomics.add(this.#control, TAKEN, 1);
      Atomics.notify(this.#control, TAKEN);
      if (length === END) return;
    }
  }
}

/** The counters are 32 bits wide and wrap, which their difference does not mind. */
function distance(filled: number, taken: number): number {
  return (filled - taken) | 0;
}

function index(count: number): number {
  return (count >>> 0) % SLOTS;
}
