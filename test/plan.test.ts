// `muster plan` in all its forms, against a real daemon: text, JSON, YAML, SVG, and the commands of every node.
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { create, fromJson, toJson } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";
import { manifests, node } from "../daemon/domain/plan-fixture.ts";
import { put } from "../daemon/domain/state.ts";
import { PlanSchema } from "../proto/gen/muster/v1/deployment_pb.ts";
import { DiskContentSchema, InventorySchema } from "../proto/gen/muster/v1/inventory_pb.ts";
import { NodeSpecSchema } from "../proto/gen/muster/v1/manifest_pb.ts";
import { done, muster } from "../tui/testing/muster.ts";
import { startTestDaemon, type TestDaemon } from "./api/daemon.ts";

const mib = 1n << 20n;
let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await startTestDaemon([put({ case: "node", value: usedNode() })]);
  const file = join(daemon.stateDir, "demo.yaml");
  await writeFile(file, manifests);
  await say(`apply -f ${file}`);
});
afterAll(() => daemon[Symbol.asyncDispose]());

/** n1 with an old system on its first disk, and a third disk that is nobody's business. */
function usedNode() {
  const used = node("n1", 3);
  used.spec = create(NodeSpecSchema, { name: "n1", protectedDisks: ["N1C"] });
  used.inventory?.disks[0]?.contents.push(
    create(DiskContentSchema, {
      name: "vda1",
      parent: "vda",
      type: "part",
      partNumber: 1,
      startBytes: mib,
      sizeBytes: 2048n * mib,
      fsType: "ext4",
      label: 'a<b&"c"',
    }),
  );
  return used;
}

async function say(args: string, columns = 80): Promise<string> {
  const { code, out, err } = await done(muster(daemon.stateDir, args, { now: Date.now, columns }));
  expect([code, err], `muster ${args}`).toEqual([0, ""]);
  return out;
}

/** Through the launcher, as an operator does. */
async function launch(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { ...process.env, MUSTER_STATE_DIR: daemon.stateDir };
  const running = promisify(execFile)(join(import.meta.dirname, "../bin/muster"), args, { env });
  return running.then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
}

test.each([60, 80, 120])("as text it is drawn in %i columns, and says what is lost", async (columns) => {
  const lines = (await say("plan demo", columns)).split("\n");
  const bars = lines.filter((line) => /^ +(?:before|after ) \|/.test(line));
  expect(bars.map((bar) => bar.length)).toEqual(Array.from({ length: 8 }, () => columns));
  expect(bars[0]).toMatch(/^ {4}before \|x+.*vda1.*x\| +free +\|$/);
  expect(lines).toContain('      partition vda1, 2 GiB, ext4, "a<b&"c""');
  expect(lines.join("\n")).toMatch(/^ {2}NODE +DISK +SERIAL +SIZE +DESTROYED$/m);
  expect(lines.at(-1)).toMatch(/^Plan hash [0-9a-f]{64}$/);
});

test("as JSON and YAML it is the same Plan", async () => {
  const json = JSON.parse(await say("plan demo -o json"));
  const { cluster, nodes, hash } = fromJson(PlanSchema, json);
  expect([cluster, nodes.map(({ node }) => node)]).toEqual(["demo", ["n1", "n2"]]);
  expect(hash).toMatch(/^[0-9a-f]{64}$/);
  expect(parse(await say("plan demo -o yaml"))).toEqual(json);
});

test("as SVG it is one well-formed picture of every node's disks", async () => {
  const svg = await say("plan demo -o svg");
  expect(faultOfXml(svg)).toBe("");
  expect(svg.match(/<svg /g)).toHaveLength(1);
  for (const text of [
    "n1",
    "n2",
    "system/0, serial N1A, now vda, 6 GiB",
    "system/1, serial N2B, now vdb, 6 GiB",
  ])
    expect(svg).toContain(`>${text}</text>`);
  expect(svg).toContain("vda1 a&lt;b&amp;&quot;c&quot; ext4");
});

test("--show-commands lists what each node would run, in order", async () => {
  const { code, stdout, stderr } = await launch("plan", "demo", "--show-commands");
  expect([code, stderr]).toEqual([0, ""]);
  const [intro = "", first = "", second = "", ...rest] = stdout.split(/^# (?=n\d$)/m);
  expect([intro, rest]).toEqual([expect.stringMatching(/^# Before, /), []]);
  expect(first.split("\n").slice(0, 4)).toEqual([
    "n1",
    "wipefs --all /dev/vda1",
    "wipefs --all /dev/vda",
    "blkdiscard --force --zeroout --offset 0 --length 1048576 /dev/vda",
  ]);
  for (const [name, commands] of Object.entries({ n1: first, n2: second })) {
    const programs = commands.split("\n").map((line) => line.split(" ")[0] ?? "");
    const made = ["sgdisk", "sgdisk", "mdadm", "pvcreate", "vgcreate", "lvcreate"];
    expect(
      programs.filter((program) => made.includes(program) || program === "mkfs.ext4"),
      name,
    ).toEqual(made);
    expect(commands).toContain("# then the image is written to /dev/mapper/vg0-root\n");
    expect(commands).toContain("# then GRUB is installed on /dev/vda, /dev/vdb\n");
  }
});

test("--show-commands ends as the plan does, and takes no other form", async () => {
  expect(await launch("plan", "demmo", "--show-commands")).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringContaining("demmo"),
  });
  const both = await launch("plan", "demo", "-o", "svg", "--show-commands");
  expect([both.code, both.stderr]).toEqual([2, expect.stringContaining("cannot be used with")]);
  expect((await launch("plan", "--show-commands", "--help")).stdout).toContain("--pictures");
});

test("--show-commands of a scheme takes one machine or several", async () => {
  const inventory = async (name: string) => {
    const { inventory: hardware } = node(name, 2);
    const file = join(daemon.stateDir, `${name}.json`);
    await writeFile(file, JSON.stringify(toJson(InventorySchema, hardware ?? create(InventorySchema))));
    return ["--inventory", file];
  };
  const [a, b] = [await inventory("a"), await inventory("b")];
  const scheme = ["-f", join(daemon.stateDir, "scheme.yaml")];
  await writeFile(scheme[1] ?? "", manifests.split("---")[0] ?? "");
  const one = await launch("scheme", "plan", ...scheme, ...a, "--show-commands");
  expect([one.code, one.stderr, one.stdout.match(/^mdadm /gm)?.length]).toEqual([0, "", 1]);
  const two = await launch("scheme", "plan", ...scheme, ...a, ...b, "--show-commands");
  expect([two.code, two.stderr, two.stdout.match(/^mdadm /gm)?.length]).toEqual([0, "", 2]);
  expect(two.stdout).toMatch(/^# .*\/b\.json$/m);
});

test("a protected disk is in no form of it", async () => {
  for (const form of ["", "-o json", "-o yaml", "-o svg", "--pictures"])
    expect(await say(`plan demo ${form}`), form).not.toMatch(/N1C|vdc/);
  const { stdout } = await launch("plan", "demo", "--show-commands");
  expect(stdout).not.toMatch(/N1C|vdc/);
});

/** Why it is no XML: what is not closed, not escaped, or not allowed; empty if it is. */
function faultOfXml(text: string): string {
  const open: string[] = [];
  let rest = text.trim();
  while (rest) {
    const [token = ""] =
      /^<\/[a-z]+>|^<[a-z]+(?: [a-zA-Z:-]+="(?:[^<&"]|&(?:amp|lt|gt|quot);)*")*\/?>|^(?:[^<&]|&(?:amp|lt|gt|quot);)+/.exec(
        rest,
      ) ?? [];
    if (!token) return `not XML: ${rest.slice(0, 80)}`;
    const [, name = ""] = /^<\/?([a-z]+)/.exec(token) ?? [];
    if (token.startsWith("</")) {
      if (open.pop() !== name) return `${token} closes nothing`;
    } else if (name && !token.endsWith("/>")) open.push(name);
    rest = rest.slice(token.length);
    if (rest && open.length === 0) return `after the end: ${rest.slice(0, 80)}`;
  }
  return open.length ? `not closed: ${open.join(" ")}` : "";
}
