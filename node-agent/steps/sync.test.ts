// sync and copy_files onto a real directory: what differs moves, the rest stays, and nothing outside is touched.
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { CopyFilesActionSchema, SyncActionSchema } from "../../proto/gen/muster/v1/task_pb.ts";
import type { StepContext, StepDone } from "../step.ts";
import { copyFiles } from "./copy-files.ts";
import { type Beside, filesContext, sha256 } from "./files-fixture.ts";
import { sync } from "./sync.ts";

const web: Beside = {
  "index.html": "<p>hello</p>\n",
  latest: { link: "index.html" },
  sub: null,
  "sub/deep": null,
  "sub/deep/run.sh": { mode: 0o755, text: "#!/bin/sh\n" },
};
const isRoot = process.getuid?.() === 0;

let dir: string;
let target: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "muster-sync-"));
  target = join(dir, "srv/web");
});
afterEach(() => rmSync(dir, { recursive: true }));

async function run(context: StepContext, fields: object = {}): Promise<StepDone> {
  const action = create(SyncActionSchema, { source: "web", path: target, ...fields });
  return (await sync(action, context)) as StepDone;
}

const actions = ({ changes = [] }: StepDone) =>
  changes.map(({ action, what }) => `${action} ${what?.replace(`${dir}/`, "")}`).sort();

describe("sync", () => {
  it("makes files, links and directories with their modes, then leaves them alone", async () => {
    const first = filesContext({ web });
    const done = await run(first);
    expect(done).toMatchObject({
      outcome: TaskOutcome.CHANGED,
      result: `${target}: 6 changed, of 5 entries`,
    });
    expect(actions(done)).toEqual([
      "create directory srv/web",
      "create directory srv/web/sub",
      "create directory srv/web/sub/deep",
      "create file srv/web/index.html",
      "create file srv/web/sub/deep/run.sh",
      "create link srv/web/latest",
    ]);
    expect(readFileSync(join(target, "latest"), "utf8")).toBe("<p>hello</p>\n");
    expect(statSync(join(target, "sub/deep/run.sh")).mode & 0o7777).toBe(0o755);
    expect(readdirSync(target).sort()).toEqual(["index.html", "latest", "sub"]);
    const again = filesContext({ web });
    expect(await run(again)).toMatchObject({ outcome: TaskOutcome.OK, changes: [] });
    expect(again.brought).toEqual([]);
    expect(first.reports.at(-1)).toMatchObject({ currentItems: 5 });
  });

  it("brings only what differs, and says how in text", async () => {
    await run(filesContext({ web }));
    writeFileSync(join(target, "index.html"), "<p>hallo</p>\n");
    chmodSync(join(target, "sub/deep/run.sh"), 0o600);
    const context = filesContext({ web });
    const done = await run(context);
    expect(actions(done)).toEqual([
      "set rights file srv/web/sub/deep/run.sh",
      "update file srv/web/index.html",
    ]);
    expect(new Set(context.brought)).toEqual(new Set([sha256("<p>hello</p>\n")]));
    const diffs = done.changes?.map(({ diff }) => diff).join("");
    expect(diffs).toContain("-<p>hallo</p>\n+<p>hello</p>");
    expect(diffs).toContain("mode 0600 -> 0755");
  });

  it("says in a check what it would do, and does nothing", async () => {
    await run(filesContext({ web }));
    writeFileSync(join(target, "index.html"), "<p>hallo</p>\n");
    rmSync(join(target, "sub"), { recursive: true });
    symlinkSync("/etc", join(target, "sub"));
    writeFileSync(join(target, "extra"), "");
    const done = await run(filesContext({ web }, { check: true }), { delete: true });
    expect(done).toMatchObject({
      outcome: TaskOutcome.CHANGED,
      result: expect.stringContaining("would change"),
    });
    expect(actions(done)).toEqual([
      "create directory srv/web/sub/deep",
      "create file srv/web/sub/deep/run.sh",
      "remove file srv/web/extra",
      "replace directory srv/web/sub",
      "update file srv/web/index.html",
    ]);
    expect(readFileSync(join(target, "index.html"), "utf8")).toBe("<p>hallo</p>\n");
    expect(readlinkSync(join(target, "sub"))).toBe("/etc");
    expect(existsSync(join(target, "extra"))).toBe(true);
    const nowhere = join(dir, "nowhere");
    expect(await run(filesContext({ web }, { check: true }), { path: nowhere })).toMatchObject({
      outcome: TaskOutcome.CHANGED,
    });
    expect(existsSync(nowhere)).toBe(false);
  });

  it("removes what is not in the source only if it is told to, and follows no link for it", async () => {
    await run(filesContext({ web }));
    const outside = join(dir, "outside");
    mkdirSync(outside);
    writeFileSync(join(outside, "precious"), "");
    symlinkSync(outside, join(target, "sub/outside"));
    mkdirSync(join(target, "old/older"), { recursive: true });
    writeFileSync(join(target, "old/older/file"), "");
    expect(await run(filesContext({ web }))).toMatchObject({ outcome: TaskOutcome.OK });
    const done = await run(filesContext({ web }), { delete: true });
    expect(actions(done)).toEqual(["remove directory srv/web/old", "remove file srv/web/sub/outside"]);
    expect(readdirSync(outside)).toEqual(["precious"]);
    expect(readdirSync(join(target, "sub"))).toEqual(["deep"]);
  });

  it("writes nothing through a link that stands where the source has a directory or a file", async () => {
    const outside = join(dir, "outside");
    mkdirSync(join(outside, "deep"), { recursive: true });
    writeFileSync(join(outside, "index.html"), "precious");
    mkdirSync(target, { recursive: true });
    symlinkSync(outside, join(target, "sub"));
    symlinkSync(join(outside, "index.html"), join(target, "index.html"));
    await run(filesContext({ web }));
    expect(readdirSync(join(outside, "deep"))).toEqual([]);
    expect(readFileSync(join(outside, "index.html"), "utf8")).toBe("precious");
    expect(lstatSync(join(target, "sub")).isDirectory()).toBe(true);
    expect(lstatSync(join(target, "index.html")).isFile()).toBe(true);
  });

  it("replaces a directory by a file only if what is not in the source may go", async () => {
    mkdirSync(join(target, "index.html/full"), { recursive: true });
    await expect(run(filesContext({ web }))).rejects.toThrow(/index.html is a directory.*delete: true/);
    expect(existsSync(join(target, "index.html/full"))).toBe(true);
    await run(filesContext({ web }), { delete: true });
    expect(readFileSync(join(target, "index.html"), "utf8")).toBe("<p>hello</p>\n");
  });

  it("is not stopped by what an attempt before has left half-written", async () => {
    mkdirSync(target, { recursive: true });
    for (const slot of [0, 1, 2, 3]) writeFileSync(join(target, `.muster-new-${slot}`), "half");
    await run(filesContext({ web }), { delete: true });
    expect(readdirSync(target).sort()).toEqual(["index.html", "latest", "sub"]);
  });

  it.runIf(isRoot)("gives all of it to an owner and a group", async () => {
    await run(filesContext({ web }), { owner: "daemon", group: "1" });
    const { uid, gid } = lstatSync(join(target, "latest"));
    expect([uid, gid]).toEqual([1, 1]);
    chownSync(join(target, "sub/deep/run.sh"), 0, 1);
    const done = await run(filesContext({ web }), { owner: "daemon", group: "1" });
    expect(done.changes).toMatchObject([{ diff: "owner 0 -> 1\n" }]);
    await expect(run(filesContext({ web }), { owner: "nobody-here" })).rejects.toThrow(/no user nobody-here/);
  });

  it("stops when it is cancelled", async () => {
    const context = filesContext({ web }, { signal: AbortSignal.abort(new Error("cancelled")) });
    await expect(run(context)).rejects.toThrow("cancelled");
    expect(existsSync(join(target, "index.html"))).toBe(false);
  });
});

describe("copy_files", () => {
  const copy = async (context: StepContext, files: object[]) =>
    (await copyFiles(create(CopyFilesActionSchema, { files }), context)) as StepDone;

  it("puts files in their places, and then leaves them alone", async () => {
    const sources = {
      "keys/ring.gz": { "ring.gz": Buffer.from([0, 1, 2]) },
      "run.sh": { "run.sh": "true\n" },
    };
    const files = [
      { source: "keys/ring.gz", path: join(dir, "etc/swift/ring.gz") },
      { source: "run.sh", path: join(dir, "run"), mode: "0750" },
    ];
    const check = await copy(filesContext(sources, { check: true }), files);
    expect(actions(check)).toEqual(["create file etc/swift/ring.gz", "create file run"]);
    expect(readdirSync(dir)).toEqual([]);
    expect(await copy(filesContext(sources), files)).toMatchObject({ outcome: TaskOutcome.CHANGED });
    expect([...readFileSync(join(dir, "etc/swift/ring.gz"))]).toEqual([0, 1, 2]);
    expect(statSync(join(dir, "run")).mode & 0o7777).toBe(0o750);
    expect(readdirSync(dir).sort()).toEqual(["etc", "run"]);
    expect(await copy(filesContext(sources), files)).toMatchObject({ outcome: TaskOutcome.OK, changes: [] });
  });

  it("refuses a directory on either side", async () => {
    const sources = { web, "a.txt": { "a.txt": "a" } };
    await expect(copy(filesContext(sources), [{ source: "web", path: join(dir, "a") }])).rejects.toThrow(
      /web is a directory/,
    );
    await expect(copy(filesContext(sources), [{ source: "a.txt", path: dir }])).rejects.toThrow(
      /is a directory, and must be a file/,
    );
    await expect(copy(filesContext(sources), [{ source: "b.txt", path: join(dir, "b") }])).rejects.toThrow(
      /the plan has no files for b.txt/,
    );
  });
});
