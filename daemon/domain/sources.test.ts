import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ImageSource_Kind as Kind } from "../../proto/gen/muster/v1/delivery_pb.ts";
import { Deployment_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { ImageSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { Delivery, MirrorSpecSchema } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { formerImages, isAssigned, sourcesFor } from "./sources.ts";
import { put, State } from "./state.ts";

const { RUNNING, SUCCEEDED } = Deployment_State;
const node = create(NodeSchema, { name: "n1", cluster: "demo" });

/** A deployment of `demo` that writes these images to n1, or leaves the first one as it is. */
function deployment(
  name: string,
  state: Deployment_State,
  startMs: number,
  digests: string[],
  skipped = false,
) {
  const targets = digests.map((imageDigest) => ({ imageDigest, device: "lv/vg0/root" }));
  const action = { kind: { case: "image" as const, value: { targets } } };
  const step = { id: "n1/image", node: "n1", task: "image", action: skipped ? undefined : action };
  const nodes = [{ node: "n1", imageDigest: digests[0] }];
  const plan = { cluster: "demo", nodes, steps: [step] };
  return put({
    case: "deployment",
    value: { name, cluster: "demo", state, startTime: timestampFromMs(startMs), plan },
  });
}

function stateOf(...changes: Parameters<State["apply"]>[0][]): State {
  const state = new State();
  for (const change of changes) state.apply(change);
  return state;
}

describe("an image is for a node", () => {
  it("while a deployment puts it there, and when the node runs from it", () => {
    const state = stateOf(
      deployment("demo-1", RUNNING, 1, ["a", "b"]),
      deployment("demo-0", SUCCEEDED, 0, ["c"]),
    );
    expect(["a", "b", "c", "d"].map((digest) => isAssigned(state, node, digest))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    const other = create(NodeSchema, { name: "n2", cluster: "demo", installed: { imageDigest: "c" } });
    expect(["a", "c"].map((digest) => isAssigned(state, other, digest))).toEqual([false, true]);
  });
});

describe("former images", () => {
  it("are what runs, what was deployed, newest first, and what the name stood for; never the image itself", () => {
    const image = create(ImageSchema, { name: "debian", digest: "new", formerDigests: ["mid", "old"] });
    const state = stateOf(
      put({ case: "image", value: image }),
      deployment("demo-1", SUCCEEDED, 1_000, ["first", "data"]),
      deployment("demo-2", SUCCEEDED, 2_000, ["second"]),
      deployment("demo-3", SUCCEEDED, 3_000, ["kept"], true),
      deployment("demo-4", RUNNING, 4_000, ["new"]),
    );
    const runs = create(NodeSchema, { name: "n1", cluster: "demo", installed: { imageDigest: "kept" } });
    expect(formerImages(state, runs, "new")).toEqual(["kept", "second", "first", "data", "mid", "old"]);
  });

  it("of a node that has never been deployed are those of the image's name", () => {
    expect(formerImages(new State(), node, "new")).toEqual([]);
  });
});

describe("sources", () => {
  const mirror = (name: string, labels: Record<string, string>) =>
    create(MirrorSpecSchema, { name, labels, url: `http://${name}/` });
  const mirrors = [
    mirror("anywhere", {}),
    mirror("row", { row: "1" }),
    mirror("rack", { row: "1", rack: "r1" }),
    mirror("elsewhere", { rack: "r2" }),
  ];
  const ownNames = ["", "grpc", "http", "torrent"];
  const labels = { row: "1", rack: "r1", color: "blue" };
  const order = (delivery: Delivery, liars: string[] = []) =>
    sourcesFor(mirrors, labels, delivery, new Set(liars)).map(
      ({ kind, mirror: from }) => from?.name ?? ownNames[kind],
    );

  it.each([
    [Delivery.UNSPECIFIED, ["rack", "row", "anywhere", "grpc", "http"]],
    [Delivery.AUTO, ["rack", "row", "anywhere", "grpc", "http"]],
    [Delivery.HTTP, ["rack", "row", "anywhere", "http", "grpc"]],
    [Delivery.GRPC, ["grpc", "http"]],
    [Delivery.TORRENT, ["torrent", "rack", "row", "anywhere", "http", "grpc"]],
  ])("come in the order of the policy %s", (delivery, wanted) => {
    expect(order(delivery)).toEqual(wanted);
  });

  it("that have lied come last", () => {
    expect(order(Delivery.AUTO, ["rack"])).toEqual(["row", "anywhere", "grpc", "http", "rack"]);
  });

  it("are never mirrors of other nodes, and always the daemon too", () => {
    const pairs = fc.dictionary(fc.constantFrom("rack", "row", "zone"), fc.constantFrom("1", "2"));
    const anyMirrors = fc.uniqueArray(
      fc.record({ name: fc.string({ minLength: 1 }), labels: pairs }).map((it) => mirror(it.name, it.labels)),
      { selector: ({ name }) => name },
    );
    const policies = fc.constantFrom(Delivery.AUTO, Delivery.HTTP, Delivery.GRPC, Delivery.TORRENT);
    fc.assert(
      fc.property(anyMirrors, pairs, policies, fc.array(fc.string()), (all, mine, policy, liars) => {
        const sources = sourcesFor(all, mine, policy, new Set(liars));
        for (const { mirror: from } of sources) {
          for (const [key, value] of Object.entries(from?.labels ?? {})) expect(mine[key]).toBe(value);
        }
        const own = sources.filter(({ mirror: from }) => !from).map(({ kind }) => kind);
        expect(own).toEqual(expect.arrayContaining([Kind.GRPC, Kind.HTTP]));
        expect(new Set(sources.map(({ kind, mirror: from }) => `${kind} ${from?.name}`)).size).toBe(
          sources.length,
        );
      }),
    );
  });
});
