import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { Deployment_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { ImageSchema } from "../../proto/gen/muster/v1/image_pb.ts";
import { Decision } from "./decision.ts";
import { forgetFormer, formerDigests, neededImages } from "./image-needs.ts";
import { usersOf } from "./removal.ts";
import { put, State } from "./state.ts";

const image = (fields: { name?: string; digest: string; formerDigests?: string[] }) =>
  put({ case: "image", value: { name: "debian", ...fields } });

function world(): State {
  const state = new State();
  state.apply(image({ digest: "d4", formerDigests: ["d3", "d2", "d1", "d0"] }));
  state.apply(put({ case: "node", value: { name: "n1", installed: { imageDigest: "d1" } } }));
  state.apply(put({ case: "node", value: { name: "n2" } }));
  const deployments = [
    ["running-1", Deployment_State.RUNNING, "r"],
    ["stopping-1", Deployment_State.STOPPING, "s"],
    ["done-1", Deployment_State.SUCCEEDED, "x"],
    ["failed-1", Deployment_State.FAILED, "y"],
    ["failed-2", Deployment_State.FAILED, "f"],
  ] as const;
  for (const [name, deploymentState, digest] of deployments) {
    const image = { targets: [{ imageDigest: `${digest}1` }, { imageDigest: `${digest}2` }] };
    const steps = [
      { id: "n1/image", action: { kind: { case: "image" as const, value: image } } },
      { id: "n2/image", unchangedSince: "a" },
    ];
    const plan = { nodes: [{ node: "n1", imageDigest: `${digest}0` }], steps };
    const cluster = name.slice(0, -2);
    state.apply(put({ case: "deployment", value: { name, cluster, state: deploymentState, plan } }));
    state.apply(put({ case: "cluster", value: { name: cluster, deployment: name } }));
  }
  return state;
}

it("needs what images are, some of what they were, what nodes run and what deployments install or may yet", () => {
  const installed = ["r0", "r1", "r2", "s0", "s1", "s2", "f0", "f1", "f2"];
  const others = ["d4", "d1", ...installed];
  expect(neededImages(world(), 0)).toEqual(new Set(others));
  expect(neededImages(world(), 2)).toEqual(new Set(["d3", "d2", ...others]));
});

it("forgets former contents that are not needed, and leaves images alone that have none such", () => {
  const state = world();
  state.apply(image({ name: "plain", digest: "p1", formerDigests: ["p0"] }));
  const decision = new Decision(state, 0, 9n);
  expect(forgetFormer(decision, 1)).toContain("d3");
  expect(state.images.get("debian")?.formerDigests).toEqual(["d3", "d1"]);
  expect(state.images.get("plain")?.formerDigests).toEqual(["p0"]);
  expect(decision.changes).toHaveLength(1);
});

it("remembers contents newest first, each once", () => {
  const known = create(ImageSchema, { digest: "d2", formerDigests: ["d1", "d0"] });
  expect(formerDigests(undefined, "d1")).toEqual([]);
  expect(formerDigests(known, "d3")).toEqual(["d2", "d1", "d0"]);
  expect(formerDigests(known, "d0")).toEqual(["d2", "d1"]);
});

it("is used by roles that name it, by its digest too or beside `/`, and by running deployments", () => {
  const state = world();
  state.apply(image({ name: "plain", digest: "r2" }));
  const roles = { a: { image: "plain" }, b: { image: "x", images: [{ image: "plain", mount: "/opt" }] } };
  for (const [name, role] of Object.entries({ ...roles, c: { image: "r2" }, d: { image: "debian" } })) {
    const kind = { case: "role" as const, value: { name, ...role } };
    state.apply(put({ case: "document", value: { name: `role/${name}`, manifest: { kind } } }));
  }
  expect(usersOf(state, "image/plain")).toEqual(["role/a", "role/b", "role/c", "deployment/running-1"]);
  expect(usersOf(state, "image/debian")).toEqual(["role/d"]);
});
