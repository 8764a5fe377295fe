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

describe("a role", () => {
  it("names images that are there, each of them", () => {
    const role = "{kind: Role, name: r, image: a, scheme: s, images: [{image: b, mount: /opt}]}";
    expect(check(new State(), role)).toEqual([
      "a.yaml:1:30: image: there is no image `a`; build it with `muster image build RECIPE`",
      "a.yaml:1:61: images[0].image: there is no image `b`; build it with `muster image build RECIPE`",
      "a.yaml:1:41: scheme: there is no scheme `s`; apply it before or together with this role",
    ]);
  });
});

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

describe("mirrors", () => {
  const mirror = (url: string) => `{kind: Mirror, name: rack1, url: "${url}", labels: {rack: r1}}\n`;

  it("are stored, and agents are sent there", () => {
    expect(check(new State(), mirror("https://10.0.1.5:8000/images"))).toEqual([]);
    expect(stored(mirror("http://10.0.1.5/")).mirrors()).toMatchObject([
      { name: "rack1", url: "http://10.0.1.5/", labels: { rack: "r1" } },
    ]);
  });

  it("need an address that files can be named below", () => {
    expect(check(new State(), mirror("http://[::1/"))[0]).toMatch(
      /url: `http:\/\/\[::1\/` is not an address/,
    );
    expect(check(new State(), mirror("http://10.0.1.5/?x=1"))[0]).toMatch(/url: ends with a path, without/);
    expect(check(new State(), mirror("ftp://10.0.1.5/"))[0]).toMatch(/url: is an address such as http/);
  });
});
