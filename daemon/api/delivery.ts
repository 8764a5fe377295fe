// AgentService's calls about images: where a node gets one from, and what was wrong with what it got.

import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  LocateImageRequest,
  LocateImageResponseSchema,
  ReportSourceRequest,
} from "../../proto/gen/muster/v1/agent_pb.ts";
import { ImageSource_Kind as Kind } from "../../proto/gen/muster/v1/delivery_pb.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import type { Admission } from "../delivery/data-plane.ts";
import type { ImageReader } from "../domain/ports.ts";
import { formerImages, isAssigned, type Source, sourcesFor } from "../domain/sources.ts";
import type { Engine } from "../engine/engine.ts";
import { notFound } from "./context.ts";

export type DeliveryContext = {
  engine: Engine;
  images: Pick<ImageReader, "signed">;
  /** Opens the data plane to a node. */
  admit: (who: { images: string[]; node: string; rack: string }) => Admission;
  clock: () => number;
};

/** Each makes the ticket longer, and every chunk over HTTP is asked for with it. */
const formerMax = 4;
const faultMs = 3_600_000;
/** In that time. A broken mirror and a thousand nodes must not fill the events. */
const faultsMax = 100;

export class ImageSources {
  readonly #context: DeliveryContext;
  readonly #faults = new Map<string, { mirror: string; atMs: number }>();

  constructor(context: DeliveryContext) {
    this.#context = context;
  }

  async locate(
    node: Node,
    { digest, delivery }: LocateImageRequest,
  ): Promise<MessageInitShape<typeof LocateImageResponseSchema>> {
    const { engine, images, admit } = this.#context;
    if (!isAssigned(engine.state, node, digest)) {
      const message = `image ${digest} is not for ${node.name}: no deployment puts it there, and it does not run from it`;
      throw new RpcError(codes.PERMISSION_DENIED, message, { reason: "IMAGE_NOT_ASSIGNED" });
    }
    if (!(await images.signed(digest))) throw notFound("image", digest);
    const formerDigests: string[] = [];
    for (const former of formerImages(engine.state, node, digest)) {
      if (formerDigests.length < formerMax && (await images.signed(former))) formerDigests.push(former);
    }
    const labels = node.spec?.labels ?? {};
    const access = admit({ images: [digest, ...formerDigests], node: node.name, rack: labels.rack ?? "" });
    const sources = sourcesFor(engine.state.mirrors(), labels, delivery, this.#liars());
    return { sources: sources.map((source) => addressed(source, access, digest)), formerDigests };
  }

  /** Tells the operator, once an hour for the same fault. */
  async report(node: Node, { kind, mirror, digest, fault }: ReportSourceRequest): Promise<void> {
    const { engine, clock } = this.#context;
    this.#forgetOld();
    const what = JSON.stringify([kind, mirror, digest, fault]);
    if (this.#faults.has(what) || this.#faults.size >= faultsMax) return;
    this.#faults.set(what, { mirror, atMs: clock() });
    const image = engine.state.image(digest)?.name ?? digest.slice(0, 12);
    const message = `${nameOf(kind, mirror)} gave ${node.name} something else than image ${image}: ${fault}. ${remedyFor(mirror, image)}`;
    await engine.decide((decision) => {
      const subject = mirror ? `mirror/${mirror}` : `node/${node.name}`;
      decision.event(Event_Severity.WARNING, subject, "SOURCE_LIES", message);
    });
  }

  #liars(): Set<string> {
    this.#forgetOld();
    return new Set([...this.#faults.values()].map(({ mirror }) => mirror));
  }

  #forgetOld(): void {
    const now = this.#context.clock();
    for (const [what, { atMs }] of this.#faults) {
      // A clock that was set back must not keep it for longer.
      if (Math.abs(now - atMs) >= faultMs) this.#faults.delete(what);
    }
  }
}

function addressed({ kind, mirror }: Source, access: Admission, digest: string) {
  if (mirror) return { kind, address: `${mirror.url.replace(/\/+$/, "")}/`, mirror: mirror.name };
  switch (kind) {
    case Kind.GRPC:
      return { kind, address: access.grpcAddress, ticket: access.ticket };
    case Kind.TORRENT:
      return { kind, address: `${access.httpAddress}torrent/${digest}.torrent` };
    default:
      return { kind, address: access.httpAddress };
  }
}

function nameOf(kind: Kind, mirror: string): string {
  if (mirror) return `mirror ${mirror}`;
  return kind === Kind.TORRENT ? "the swarm" : "the daemon's own store";
}

function remedyFor(mirror: string, image: string): string {
  return mirror
    ? "It is asked last for an hour; fill it again with `muster image push`, or delete it"
    : `See \`muster image verify ${image}\``;
}
