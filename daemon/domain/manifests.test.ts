import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { decodeManifests, formatFault } from "../../proto/manifest/decode.ts";
import { applyManifests, checkManifests } from "./manifests.ts";
import { put, State } from "./state.ts";

function check(state: State, content: string): string[] {
  const { documents, faults } = decodeManifests([{ path: "a.yaml", content }]);
  return [...faults, ...checkManifests(state, documents)].map(formatFault);
}

/** A state in which the manifests are stored. */
function stored(content: string): State {
  const state = new State();
  const { documents } = decodeManifests([{ path: "a.yaml", content }]);
  for (const change of applyManifests(state, documents).changes) state.apply(change);
  return state;
}

const nodes = (first: string, second: string) =>
  `{kind: Node, name: n1, macs: ["${first}"]}\n---\n{kind: Node, name: n2, macs: ["${second}"]}\n`;
const [one, two] = ["52:54:00:00:00:01", "52:54:00:00:00:02"];

describe("MAC addresses", () => {
  it("belong to one node of a set", () => {
    const fault = `a.yaml:3:31: macs[0]: \`${one}\` belongs to node \`n1\``;
    expect(check(new State(), nodes(one, one))).toEqual([fault]);
  });

  it("may be swapped by one set, and not by half of one", () => {
    const state = stored(nodes(one, two));
    expect(check(state, nodes(two, one))).toEqual([]);
    expect(check(state, `{kind: Node, name: n1, macs: ["${two}"]}`)).toHaveLength(1);
  });

  it("stay with the machine that has shown them, which can be declared by its name", () => {
    const state = new State();
    const seen = create(NodeSchema, { name: "node-525400000001", fingerprint: { macs: [one] } });
    state.apply(put({ case: "node", value: seen }));
    expect(check(state, `{kind: Node, name: n1, macs: ["${one}"]}`)).toEqual([
      expect.stringContaining("belongs to node `node-525400000001`; declare it by that name"),
    ]);
    expect(check(state, `{kind: Node, name: node-525400000001, macs: ["${one}"]}`)).toEqual([]);
  });
});
