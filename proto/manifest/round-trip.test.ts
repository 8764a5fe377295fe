import { create, type DescMessage, equals, fromJson, type JsonValue, toJsonString } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import {
  type Manifest,
  ManifestSchema,
  NodeSpecSchema,
  SchemeSpecSchema,
} from "../gen/muster/v1/manifest_pb.ts";
import { TaskSpecSchema } from "../gen/muster/v1/task_pb.ts";
import { decodeManifests } from "./decode.ts";

const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/);
const text = fc.string({ minLength: 1, maxLength: 40 });
const labels = fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/), text, { maxKeys: 3 });
const mac = fc.stringMatching(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
const size = fc.oneof(
  fc.constant("remaining"),
  fc.integer({ min: 1, max: 99 }).map((n) => `${n}%`),
  fc.integer({ min: 1, max: 9999 }).map((n) => `${n} MiB`),
);
const action = fc.oneof(
  fc.record({ case: fc.constant("shell" as const), value: fc.record({ command: text }) }),
  fc.record({ case: fc.constant("puppet" as const), value: fc.record({ manifest: text }) }),
);
const anyNode = fc.record({ name, macs: fc.uniqueArray(mac, { minLength: 1, maxLength: 3 }), labels });
const anyTask = fc.record({
  name,
  roles: fc.array(name, { minLength: 1, maxLength: 3 }),
  crossDepends: fc.array(fc.record({ task: name, role: name }), { maxLength: 2 }),
  action,
  retries: fc.nat(100),
  timeout: fc.record({ seconds: fc.bigInt(1n, 100000n), nanos: fc.nat(999_999_999) }),
  parameters: fc.dictionary(name, fc.jsonValue({ stringUnit: "grapheme" }), { maxKeys: 3 }).map(asValues),
});
function asValues(parameters: Record<string, unknown>): Record<string, Value> {
  // Without a minus before a zero, which JSON has not.
  const json = JSON.parse(JSON.stringify(parameters)) as Record<string, JsonValue>;
  const all = Object.entries(json).map(([key, value]) => [key, fromJson(ValueSchema, value)]);
  return Object.fromEntries(all);
}
const partitions = fc.array(fc.record({ name, size }), { minLength: 1, maxLength: 4 });
const anyScheme = fc.record({
  name,
  disks: fc.array(fc.record({ id: name, hints: labels, count: fc.nat(64) }), { minLength: 1, maxLength: 2 }),
  parteds: fc.array(fc.record({ disks: name, partitions }), { minLength: 1, maxLength: 2 }),
  fss: fc.array(fc.constant({ device: "md/os", type: "ext4", mount: "/" }), { minLength: 1, maxLength: 1 }),
});
const anyKind: fc.Arbitrary<Manifest["kind"]> = fc.oneof(
  anyNode.map((node) => ({ case: "node" as const, value: create(NodeSpecSchema, node) })),
  anyTask.map((task) => ({ case: "task" as const, value: create(TaskSpecSchema, task) })),
  anyScheme.map((scheme) => ({ case: "scheme" as const, value: create(SchemeSpecSchema, scheme) })),
);

describe("any valid manifest", () => {
  it.each([true, false])(
    "comes back as it was from its YAML (proto field names: %s)",
    (useProtoFieldName) => {
      fc.assert(
        fc.property(anyKind, (kind) => {
          const manifest = create(ManifestSchema, { kind });
          const content = toYaml(manifest, useProtoFieldName);
          const { documents, faults } = decodeManifests([{ path: "a.yaml", content }]);
          expect(faults).toEqual([]);
          const [document] = documents;
          expect(document && equals(ManifestSchema, document.manifest, manifest)).toBe(true);
        }),
        { numRuns: 150 },
      );
    },
  );
});

function toYaml(manifest: Manifest, useProtoFieldName: boolean): string {
  const field = ManifestSchema.fields.find(({ localName }) => localName === manifest.kind.case);
  const desc: DescMessage | undefined = field?.message;
  if (!desc || !manifest.kind.value || !manifest.kind.case) return "";
  const kind = manifest.kind.case[0]?.toUpperCase() + manifest.kind.case.slice(1);
  const fields = JSON.parse(toJsonString(desc, manifest.kind.value, { useProtoFieldName }));
  return stringify({ kind, ...fields });
}
