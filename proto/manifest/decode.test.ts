import { describe, expect, it } from "vitest";
import { Delivery } from "../gen/muster/v1/manifest_pb.ts";
import { decodeManifests, formatFault } from "./decode.ts";

const scheme = `kind: Scheme
name: mirror
disks:
  - id: os
    hints: { size: ">= 4", tran: virtio }
    count: 2
parteds:
  - disks: os
    partitions:
      - { name: bios, size: 1 MiB, flags: [bios_grub] }
      - { name: os, size: remaining, flags: [raid] }
mds:
  - { name: os, level: 1, devices: [partition/os] }
fss:
  - { device: md/os, type: ext4, mount: / }
`;

const actions =
  "shell, uploadFile, puppet, uploadFiles, sync, copyFiles, template, mergeConfig, package, service, ansible, " +
  "reboot, waitFor, fetch, noop";

function decode(content: string) {
  return decodeManifests([{ path: "a.yaml", content }]);
}

function refusals(content: string): string[] {
  return decode(content).faults.map(formatFault);
}

describe("a good manifest", () => {
  it("is read with its nested lists, maps and numbers", () => {
    const { documents, faults } = decode(scheme);
    expect(faults).toEqual([]);
    const spec = documents[0]?.manifest.kind;
    expect(spec?.case).toBe("scheme");
    if (spec?.case !== "scheme") return;
    expect(spec.value.disks[0]).toMatchObject({
      id: "os",
      count: 2,
      hints: { size: ">= 4", tran: "virtio" },
    });
    expect(spec.value.parteds[0]?.partitions[1]).toMatchObject({ size: "remaining", flags: ["raid"] });
    expect(spec.value.mds[0]?.level).toBe(1);
  });

  it("names values of an enum as an operator does, or as the proto file does", () => {
    const role = (delivery: string) =>
      `kind: Role\nname: web\nimage: debian\nscheme: flat\ndelivery: ${delivery}\n`;
    for (const delivery of ["torrent", "DELIVERY_TORRENT"]) {
      const spec = decode(role(delivery)).documents[0]?.manifest.kind;
      expect(spec).toMatchObject({ case: "role", value: { delivery: Delivery.TORRENT } });
    }
    expect(refusals(role("pigeon"))).toEqual([
      "a.yaml:5:11: delivery: has no value `pigeon`; it is one of grpc, http, torrent, auto",
    ]);
  });

  it("may use either form of a field's name, multi-line text, durations, anchors and many documents", () => {
    const { documents, faults } = decode(`# A comment alone.
---
kind: Task
name: hello
roles: ["*"]
crossDepends: [{ task: hi, role: compute }]
shell:
  command: |
    echo one
    echo two
timeout: 1h30m
---
---
kind: Task
name: hi
roles: &all ["*"]
requires: *all
cross_depends: []
upload_file: { path: /etc/motd, content: "0644", mode: "0644" }
timeout: 1.5s
`);
    expect(faults).toEqual([]);
    expect(documents).toHaveLength(2);
    const [first, second] = documents.map(({ manifest }) => manifest.kind.value);
    expect(first).toMatchObject({
      action: { case: "shell", value: { command: "echo one\necho two\n" } },
      timeout: { seconds: 5400n, nanos: 0 },
    });
    expect(second).toMatchObject({
      roles: ["*"],
      requires: ["*"],
      timeout: { seconds: 1n, nanos: 500_000_000 },
    });
  });

  it("knows where each value stands", () => {
    const at = (path: string) => decode(`---\n${scheme}`).documents[0]?.locate(path);
    expect(at("name")).toEqual({ line: 3, column: 7 });
    expect(at("parteds[0].partitions[1].size")).toEqual({ line: 12, column: 27 });
    expect(at('disks[0].hints["size"]')).toEqual({ line: 6, column: 20 });
    expect(at("disks[0].hints.tran")).toEqual({ line: 6, column: 34 });
    expect(at("mds[0].devices[0]")).toEqual({ line: 14, column: 37 });
    expect(at("vgs[1].name")).toEqual({ line: 2, column: 1 });
    expect(at("parteds[0].label")).toEqual({ line: 9, column: 5 });
    const node = decode("kind: Node\nname: a\nmacs: ['52:54:00:00:00:01']\nprotectedDisks: [S1]\n")
      .documents[0];
    expect(node?.locate("protected_disks[0]")).toEqual({ line: 4, column: 18 });
  });
});

const node = "kind: Node\nname: n1\nmacs: ['52:54:00:00:00:01']\n";
const task = "kind: Task\nname: t\nroles: ['*']\n";

describe("a bad manifest is refused with file, line, column, field and remedy", () => {
  const table: [what: string, content: string, faults: string[]][] = [
    [
      "no kind",
      "name: n1\n",
      ["1:1: kind: is missing; it is one of Node, Cluster, Role, Scheme, Task, Recipe, Mirror, Graph"],
    ],
    ["unknown kind", "kind: Nod\n", ["1:7: kind: there is no kind `Nod`; did you mean `Node`?"]],
    [
      "no kind like it",
      "# first\nkind: Deployment\n",
      [
        "2:7: kind: there is no kind `Deployment`; it is one of Node, Cluster, Role, Scheme, Task, Recipe, Mirror, Graph",
      ],
    ],
    ["not a map", "- a\n", ["1:1: expected a map with `kind` and the fields of that kind, found a list"]],
    [
      "misspelt field",
      `${node}lables: {}\n`,
      ["4:1: lables: there is no such field; did you mean `labels`?"],
    ],
    [
      "unknown field",
      `${node}power: { qmp: { socket: /s, nic: net0, disks: [d], zz: 1 } }\n`,
      ["4:52: power.qmp.zz: there is no such field; it is one of socket, nic, disks"],
    ],
    [
      "bad size",
      scheme.replace("1 MiB", "3 GX"),
      [
        "10:29: parteds[0].partitions[0].size: is a number with B, KiB, MiB, GiB, TiB, % or `% of RAM`, or `remaining`; such as 512 MiB, 20% or remaining; found `3 GX`",
      ],
    ],
    [
      "value outside a list",
      scheme.replace("    partitions", "    label: mbr\n    partitions"),
      ["9:12: parteds[0].label: is one of gpt, msdos; found `mbr`"],
    ],
    [
      "raid level",
      scheme.replace("level: 1", "level: 3"),
      ["13:24: mds[0].level: is one of 0, 1, 4, 5, 6, 10; found `3`"],
    ],
    [
      "text for a number",
      scheme.replace("count: 2", "count: two"),
      ["6:12: disks[0].count: expected a number, found the text `two`"],
    ],
    [
      "negative",
      scheme.replace("count: 2", "count: -2"),
      ["6:12: disks[0].count: is a whole number from 0 to 4294967295; found `-2`"],
    ],
    [
      "too many",
      scheme.replace("count: 2", "count: 65"),
      ["6:12: disks[0].count: is at most 64; found `65`"],
    ],
    [
      "list for text",
      "kind: Node\nname: [a]\nmacs: ['52:54:00:00:00:01']\n",
      ["2:7: name: expected text, found a list"],
    ],
    ["text for a list", "kind: Node\nname: a\nmacs: x\n", ["3:7: macs: expected a list, found the text `x`"]],
    ["nothing for a list", "kind: Node\nname: a\nmacs:\n", ["3:1: macs: expected a list, found nothing"]],
    ["text for a map", `${node}labels: x\n`, ["4:9: labels: expected a map, found the text `x`"]],
    ["text for a message", `${node}power: on\n`, ["4:8: power: expected a map, found the text `on`"]],
    [
      "number for text",
      `${task}uploadFile: { path: /a, mode: 0644 }\n`,
      ['4:31: uploadFile.mode: is text; `0644` without quotes is a number: write it in quotes, "0644"'],
    ],
    [
      "true for text",
      `${node}labels: { gpu: true }\n`,
      ['4:16: labels.gpu: is text; `true` without quotes is not: write it in quotes, "true"'],
    ],
    [
      "text for true",
      "kind: Recipe\nname: r\ndistribution: debian\nsuite: bookworm\nkernel: linux-image-amd64\nagent: yes\n",
      ["6:8: agent: expected true or false, found the text `yes`"],
    ],
    [
      "bad duration",
      `${task}shell: { command: x }\ntimeout: 30\n`,
      ["5:10: timeout: is a duration such as 30s, 5m or 1h30m; found `30`"],
    ],
    ["key twice", `${node}name: n2\n`, ["4:1: name: is given twice; remove one of the two"]],
    [
      "both forms of a name",
      `${node}protectedDisks: [a]\nprotected_disks: [b]\n`,
      ["5:1: protectedDisks: is given twice, the other time as `protectedDisks`; remove one of the two"],
    ],
    [
      "two of a oneof",
      `${task}shell: { command: x }\npuppet: { manifest: y }\n`,
      [`5:1: puppet: cannot stand beside \`shell\`; keep one of ${actions}`],
    ],
    ["none of a oneof", task, [`1:1: needs one of the fields ${actions}`]],
    ["inner oneof", `${node}power: {}\n`, ["4:8: power: needs the field qmp"]],
    ["missing fields", "kind: Cluster\nname: c\nnodes:\n  - node: n1\n", ["4:5: nodes[0].role: is missing"]],
    ["missing list", "kind: Node\nname: a\n", ["1:1: macs: has at least 1 item; it has 0"]],
    [
      "twice in a list",
      "kind: Node\nname: a\nmacs: &m ['52:54:00:00:00:01', '52:54:00:00:00:01']\n",
      ["3:10: macs: has `52:54:00:00:00:01` more than once"],
    ],
    [
      "bad item",
      "kind: Node\nname: a\nmacs: [X]\n",
      ["3:8: macs[0]: is a MAC address in lower case, such as 52:54:00:12:34:56; found `X`"],
    ],
    [
      "bad name of a setting",
      "kind: Cluster\nname: c\nnodes: [{ node: a, role: b }]\nsettings: { 'A b': x }\n",
      [
        '4:20: settings["A b"]: the name is 1 to 63 lower-case letters, digits and underscores, and starts with a letter; found `A b`',
      ],
    ],
    [
      "unknown anchor",
      `${node}labels: *nope\n`,
      ["4:9: labels: expected a map, found *nope, an alias without an anchor before it in its document"],
    ],
    [
      "merge key",
      `${node}labels: &l { a: b }\npower: { <<: *l }\n`,
      ["5:10: power: `<<` (merge) is not supported; write the fields out, or use *alias as a value"],
    ],
    [
      "unknown tag",
      "kind: Node\nname: !secret a\n",
      ["2:7: this is not valid YAML: Unresolved tag: !secret"],
    ],
    [
      "two faults at once",
      "kind: Node\nnam: a\nmacs: [1]\n",
      [
        "2:1: nam: there is no such field; did you mean `name`?",
        '3:8: macs[0]: is text; `1` without quotes is a number: write it in quotes, "1"',
      ],
    ],
  ];
  it.each(table)("%s", (_, content, faults) => {
    expect(refusals(content)).toEqual(faults.map((fault) => `a.yaml:${fault}`));
    expect(decode(content).documents).toEqual([]);
  });

  it("when it is not YAML, with the place of the fault", () => {
    expect(refusals("kind: Node\nname: [a\nmacs: x\n")[0]).toMatch(/^a\.yaml:3:1: this is not valid YAML: /);
  });

  it("when it has the name of another, naming the place of the first", () => {
    const files = [
      { path: "a.yaml", content: node },
      { path: "b.yaml", content: `${task}shell: { command: x }\n---\n${node}` },
    ];
    const { documents, faults } = decodeManifests(files);
    expect(documents).toHaveLength(2);
    expect(faults.map(formatFault)).toEqual([
      "b.yaml:7:7: name: there is already a node `n1`, at a.yaml:2:7; rename or remove one",
    ]);
  });

  it("without harm when aliases would make it huge", () => {
    const flags = `&f [${Array.from({ length: 300 }, () => "esp").join(", ")}]`;
    const parts = `&p [{ name: a, size: 1 B, flags: ${flags} }, ${Array.from({ length: 300 }, () => "{ name: a, size: 1 B, flags: *f }").join(", ")}]`;
    const parteds = Array.from({ length: 300 }, () => "{ disks: a, partitions: *p }").join(", ");
    const content = `kind: Scheme\nname: bomb\nparteds: [{ disks: a, partitions: ${parts} }, ${parteds}]\n`;
    expect(refusals(content).some((fault) => fault.includes("more than 100000 values"))).toBe(true);
  });
});
