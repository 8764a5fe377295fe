// Remembers what the daemon has acknowledged, and says what of it is gone when it is looked at again. Pure: who
// asks the daemon is api.ts.

/** What a daemon shows of its state. */
export type View = {
  revision: bigint;
  /** Of every resource, by `KIND/NAME`. */
  revisions: Map<string, bigint>;
  /** What the operator has written, by where: `task/note-1`, `node/n1`. Absent: it is not there. */
  texts: Map<string, string>;
};

export class Witness {
  /** One line for every acknowledged change that was not there later. */
  readonly lost: string[] = [];
  acknowledged = 0;
  #revision = 0n;
  readonly #revisions = new Map<string, bigint>();
  /** What may be found: the last that was acknowledged, and what was asked for since without an answer. */
  readonly #texts = new Map<string, (string | undefined)[]>();

  /** An answer has shown this revision of the state. */
  sawRevision(revision: bigint): void {
    if (revision > this.#revision) this.#revision = revision;
  }

  /** An answer has shown a resource. */
  saw(name: string, revision: bigint): void {
    this.acknowledged++;
    this.sawRevision(revision);
    if (revision > (this.#revisions.get(name) ?? 0n)) this.#revisions.set(name, revision);
  }

  /** A text is about to be asked for; undefined: its removal. */
  asks(place: string, text: string | undefined): void {
    this.#texts.set(place, [...(this.#texts.get(place) ?? [undefined]), text]);
  }

  wasAcknowledged(place: string, text: string | undefined): void {
    this.acknowledged++;
    this.#texts.set(place, [text]);
    // Whatever comes later of that name is another one.
    if (text === undefined) this.#revisions.delete(place);
  }

  wasRefused(place: string, text: string | undefined): void {
    const rest = [...(this.#texts.get(place) ?? [])];
    const index = rest.lastIndexOf(text);
    if (index >= 0) rest.splice(index, 1);
    this.#texts.set(place, rest);
  }

  /** Somebody else has found something gone. */
  misses(what: string): void {
    this.lost.push(`${what} was acknowledged, and is not there`);
  }

  /** Nothing may be under way meanwhile. What is found is what is expected from now on. */
  compare(view: View): void {
    if (view.revision < this.#revision) {
      this.lost.push(`the state is of revision ${view.revision}, ${this.#revision} was shown before`);
      this.#revision = view.revision;
    }
    for (const [place, expected] of this.#texts) {
      const found = view.texts.get(place);
      if (!expected.includes(found)) {
        const wanted = expected.map((text) => text ?? "nothing").join(" or ");
        this.lost.push(`${place} is ${found ?? "not there"}, expected ${wanted}`);
      }
      this.#texts.set(place, [found]);
      if (found === undefined) this.#revisions.delete(place);
    }
    for (const [name, revision] of this.#revisions) {
      const found = view.revisions.get(name);
      if (found !== undefined && found >= revision) continue;
      this.lost.push(
        `${name} is ${found === undefined ? "gone" : `of revision ${found}`}, ${revision} was shown`,
      );
      if (found === undefined) this.#revisions.delete(name);
      else this.#revisions.set(name, found);
    }
  }
}
