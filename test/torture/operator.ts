// An operator who never rests: approves, writes notes, puts nodes into maintenance. What the daemon answers goes to
// the witness; an answer that is lost with the daemon leaves open whether it was done. Deployments: minder.ts.
import { setTimeout as delay } from "node:timers/promises";
import { Node_State } from "../../proto/gen/muster/v1/node_pb.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import type { Random } from "../sim/random.ts";
import { type Api, listAll, maintenanceOf } from "./api.ts";
import type { Life } from "./daemon-process.ts";
import { noteManifest } from "./manifests.ts";
import { Minder } from "./minder.ts";
import type { Witness } from "./witness.ts";

/** `unknown`: the daemon was gone before it answered. */
export type Answer<T> = { said: T } | { refused: RpcError } | "unknown";

const noteNames = ["note-1", "note-2", "note-3", "note-4"];
const unanswered = new Set([codes.UNAVAILABLE, codes.CANCELLED, codes.DEADLINE_EXCEEDED]);
/** No daemon in its right mind answers these. */
const broken = new Set([codes.INTERNAL, codes.UNKNOWN, codes.UNIMPLEMENTED, codes.DATA_LOSS]);
/** How long a daemon that cannot write its state any more has to end: its connections get a moment. */
const deathMs = 12_000;

export class Operator {
  /** What should never happen, one line each. */
  readonly problems: string[] = [];
  readonly minders: Minder[] = [];
  readonly witness: Witness;
  readonly random: Random;
  readonly #signal: AbortSignal;
  #life: Life | undefined;
  #isCalm = false;
  #hasLeft = false;
  #texts = 0;

  constructor(witness: Witness, random: Random, signal: AbortSignal) {
    this.witness = witness;
    this.random = random;
    this.#signal = signal;
  }

  /** From now on this daemon is spoken to. */
  turnTo(life: Life): void {
    this.#life = life;
  }

  /** Begins to work, on these clusters. */
  start(clusters: readonly string[], nodes: readonly string[]): void {
    this.minders.push(...clusters.map((cluster) => new Minder(cluster, this)));
    for (const minder of this.minders) this.#repeat(400, () => minder.look());
    this.#repeat(300, () => this.#editNote());
    this.#repeat(600, () => this.#editNode(nodes));
    this.#repeat(400, () => this.#approve());
  }

  /** No more mischief: everything is let run to its end. */
  calm(): void {
    this.#isCalm = true;
  }

  get isCalm(): boolean {
    return this.#isCalm;
  }

  leave(): void {
    this.#hasLeft = true;
  }

  /** Every cluster is deployed, and no node is held back. */
  isContent(clusters: readonly string[]): boolean {
    return clusters.every((name) =>
      this.minders.some(({ cluster, isContent }) => cluster === name && isContent),
    );
  }

  get progress(): string {
    const started = this.minders.reduce((sum, minder) => sum + minder.started.size, 0);
    const succeeded = this.minders.reduce((sum, minder) => sum + minder.succeeded, 0);
    return `${started} deployments started, ${succeeded} seen to succeed`;
  }

  explain(): string {
    return this.minders.map((minder) => minder.explain()).join("\n");
  }

  /** Asks the daemon of the moment. */
  async call<T>(work: (api: Api) => Promise<T>): Promise<Answer<T>> {
    const life = await this.#reach();
    try {
      return { said: await work(life.api) };
    } catch (caught) {
      const error = RpcError.from(caught);
      if (unanswered.has(error.code)) return "unknown";
      if (broken.has(error.code)) {
        await Promise.race([life.ended, delay(deathMs)]);
        if (life.hasEnded) return "unknown";
        this.problems.push(`the daemon said ${codes[error.code]}: ${error.message}`);
      }
      return { refused: error };
    }
  }

  async #reach(): Promise<Life> {
    while (true) {
      if (this.#hasLeft) throw new Error("the operator has left");
      this.#signal.throwIfAborted();
      if (this.#life && !this.#life.hasEnded) return this.#life;
      await delay(20);
    }
  }

  #repeat(aboutMs: number, work: () => Promise<void>): void {
    const run = async () => {
      while (!this.#hasLeft && !this.#signal.aborted) {
        await delay(this.random.between(aboutMs / 2, aboutMs * 2));
        await work();
      }
    };
    run().catch((error: unknown) => {
      if (!this.#hasLeft && !this.#signal.aborted) this.problems.push(`the operator stumbled: ${error}`);
    });
  }

  async #approve(): Promise<void> {
    const listed = await this.call((api) => listAll(api.nodes.listNodes, ({ nodes }) => nodes));
    if (listed === "unknown" || "refused" in listed) return;
    for (const { name, state, approvalCode } of listed.said.items) {
      if (state !== Node_State.AWAITING_APPROVAL) continue;
      const answer = await this.call((api) => api.nodes.approveNode({ name, code: approvalCode }));
      if (answer === "unknown" || "refused" in answer || !answer.said.node) continue;
      this.witness.saw(`node/${name}`, answer.said.node.revision);
    }
  }

  async #editNote(): Promise<void> {
    const { random } = this;
    const name = random.pick(noteNames) ?? "";
    if (random.chance(0.2)) return this.#deleteNote(name);
    const text = `text-${++this.#texts}`;
    const content = noteManifest(name, text);
    await this.#write(`task/${name}`, `echo ${text}`, async (api) => {
      const { revision } = await api.clusters.apply({ files: [{ path: "note.yaml", content }] });
      this.witness.sawRevision(revision);
    });
  }

  async #deleteNote(name: string): Promise<void> {
    const place = `task/${name}`;
    const found = await this.call((api) => api.clusters.getDocument({ name: place }));
    if (found === "unknown" || "refused" in found) return;
    const etag = found.said.document?.etag ?? "";
    await this.#write(place, undefined, (api) => api.clusters.deleteDocument({ name: place, etag }));
  }

  /** In maintenance for a moment, and out of it again. */
  async #editNode(names: readonly string[]): Promise<void> {
    const name = this.random.pick(names) ?? "";
    const text = this.isCalm ? undefined : `text-${++this.#texts}`;
    if (text !== undefined) await this.#maintain(name, text);
    await this.#maintain(name, undefined);
  }

  async #maintain(name: string, text: string | undefined): Promise<void> {
    const node = { name, maintenance: text !== undefined, maintenanceReason: text ?? "" };
    const updateMask = { paths: ["maintenance", "maintenance_reason"] };
    await this.#write(maintenanceOf(name), text, async (api) => {
      const answer = await api.nodes.updateNode({ node, updateMask });
      if (answer.node) this.witness.saw(`node/${name}`, answer.node.revision);
    });
  }

  async #write(place: string, text: string | undefined, work: (api: Api) => Promise<unknown>): Promise<void> {
    const answer = await this.call((api) => {
      // Not before it is sent: a comparison may come first.
      this.witness.asks(place, text);
      return work(api);
    });
    if (answer === "unknown") return;
    if ("said" in answer) this.witness.wasAcknowledged(place, text);
    else this.witness.wasRefused(place, text);
  }
}
