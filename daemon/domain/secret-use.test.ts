// A plan that needs a secret is made only when the secret is there and can do what the scheme wants of it.
import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { SecretRecordSchema } from "../../proto/gen/muster/v1/record_pb.ts";
import { planCluster } from "./plan.ts";
import { applyTo, manifests, planState } from "./plan-fixture.ts";
import { usersOf } from "./removal.ts";
import { isTypable, secretFaults } from "./secret-use.ts";

/** The demo cluster, whose volume of / and that of /data lie in LUKS. */
const encrypted = manifests.replace(
  /vgs:[\s\S]*?fss:.*/,
  `vgs: [{name: vg0, devices: [md/os]}]
lvs: [{name: boot, vg: vg0, size: 200 MiB}, {name: root, vg: vg0, size: 3 GiB}, {name: data, vg: vg0, size: 1 GiB}]
luks: [{name: safe, device: lv/vg0/root, secret: root-key}, {name: more, device: lv/vg0/data, secret: data-key}]
fss:
  - {device: lv/vg0/boot, type: ext4, mount: /boot}
  - {device: luks/safe, type: ext4, mount: /}
  - {device: luks/more, type: ext4, mount: /data}`,
);

function planned(
  secrets: Record<string, boolean>,
  texts = encrypted,
): {
  faults: string[];
  state: ReturnType<typeof planState>;
} {
  const state = planState();
  expect(applyTo(state, texts)).toEqual([]);
  for (const [name, typable] of Object.entries(secrets)) {
    state.apply({ secret: create(SecretRecordSchema, { secret: { name, typable } }) });
  }
  const cluster = state.clusters.get("demo");
  if (!cluster) throw new Error("the cluster was not stored");
  const plan = planCluster(state, cluster);
  return {
    state,
    faults: "faults" in plan ? plan.faults.map(({ node, message }) => `${node}: ${message}`) : [],
  };
}

it("is refused for each node while a secret is not stored, with what stores it", () => {
  expect(planned({ "root-key": true }).faults).toEqual([
    "n1: scheme raid1-lvm: luks more needs the secret data-key, which is not stored: `muster secret set data-key`",
    "n2: scheme raid1-lvm: luks more needs the secret data-key, which is not stored: `muster secret set data-key`",
  ]);
  expect(planned({}).faults).toHaveLength(4);
  expect(planned({ "root-key": true, "data-key": true }).faults).toEqual([]);
});

it("is refused if the machine would ask for what nobody can type; a key file has no such need", () => {
  const { faults } = planned({ "root-key": false, "data-key": false });
  expect(faults).toHaveLength(2);
  expect(faults[0]).toMatch(
    /^n1: scheme raid1-lvm: luks safe holds \/.*root-key is asked for on the console/,
  );
});

it("is refused as well if only the second of several operating systems would ask for it", () => {
  const two = encrypted
    .replace("size: 3 GiB}", "size: 1 GiB}, {name: plain, vg: vg0, size: 2 GiB}")
    .replace("type: ext4, mount: /data}", "type: ext4, mount: /, os: [b]}")
    .replace(
      "{device: luks/safe, type: ext4, mount: /}",
      "{device: luks/safe, type: ext4, mount: /data}\n  - {device: lv/vg0/plain, type: ext4, mount: /, os: [a]}",
    );
  const { state } = planned({ "root-key": true, "data-key": false }, two);
  const scheme = state.scheme("raid1-lvm");
  expect(scheme && secretFaults(state, scheme)).toEqual([
    expect.stringContaining("luks more holds /, so its secret data-key is asked for on the console"),
  ]);
});

it("keeps the secret that a stored scheme names from being deleted", () => {
  const { state } = planned({ "root-key": true, spare: true });
  expect(usersOf(state, "secret/root-key")).toEqual(["scheme/raid1-lvm"]);
  expect(usersOf(state, "secret/spare")).toEqual([]);
});

it.each<[string, boolean]>([
  ["correct horse ~", true],
  ["x".repeat(512), true],
  ["x".repeat(513), false],
  ["with a line end\n", false],
  ["two\nlines", false],
  ["Schlüssel", false],
  ["\u0000", false],
])("whether %j can be typed: %s", (content, typable) => {
  expect(isTypable(Buffer.from(content))).toBe(typable);
});
