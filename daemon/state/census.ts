// What must be in the database: how many records, and the sum of their checksums. It is stored with every batch
// and compared at the start, so that a record that has vanished, or is there as it once was, is noticed as well.
// It counts what is read at the start: not the history of attempts, whose records have their own checksums.
import { sealOf } from "./records.ts";

const counted = /^[rqsc]\//;

export class Census {
  readonly #seals = new Map<string, number>();
  #sum = 0;

  put(key: string, sealed: Uint8Array): void {
    if (!counted.test(key)) return;
    const seal = sealOf(sealed);
    this.#sum = (this.#sum - (this.#seals.get(key) ?? 0) + seal) >>> 0;
    this.#seals.set(key, seal);
  }

  delete(key: string): void {
    this.#sum = (this.#sum - (this.#seals.get(key) ?? 0)) >>> 0;
    this.#seals.delete(key);
  }

  toString(): string {
    return `${this.#seals.size} records, sum ${this.#sum}`;
  }
}
