// Files over the daemon's socket: pieces, trees, and `muster apply` with what lies beside a manifest.
import { createHash } from "node:crypto";
import { chmod, mkdir, readdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { manifests } from "../../daemon/domain/plan-fixture.ts";
import { FetchedFiles } from "../../daemon/drivers/fetched-files.ts";
import { FileStore } from "../../daemon/drivers/file-store.ts";
import { restoreBackup } from "../../daemon/state/restore.ts";
import { packedTree } from "../../proto/files/tree.ts";
import { FetchedFileSchema, TreeSchema } from "../../proto/gen/muster/v1/files_pb.ts";
import { codes } from "../../proto/rpc/status.ts";
import { done, muster } from "../../tui/testing/muster.ts";
import { startTestDaemon, type TestDaemon } from "./daemon.ts";

const sha256 = (content: string | Uint8Array) => createHash("sha256").update(content).digest("hex");
const file = (content: string) => ({
  case: "file" as const,
  value: { digest: sha256(content), sizeBytes: BigInt(content.length) },
});

let daemon: TestDaemon;
let beside: string;
beforeEach(async () => {
  daemon = await startTestDaemon();
  beside = join(daemon.stateDir, "manifests");
  await mkdir(beside);
  await writeFile(join(beside, "a-demo.yaml"), manifests);
});
afterEach(() => daemon[Symbol.asyncDispose]());

const apply = (...more: string[]) =>
  done(muster(daemon.stateDir, ["apply", "-f", beside, ...more].join(" ")));
const sourcesOf = async (task: string) =>
  (await daemon.muster.clusters.getDocument({ name: `task/${task}` })).document?.sources;

describe("a file", () => {
  it("comes in pieces, goes on after a restart of the daemon, and is checked with the last one", async () => {
    const { files } = daemon.muster;
    const digest = sha256("hello world");
    await files.putFile({ digest, content: Buffer.from("hello ") });
    await daemon.restart();
    await expect(files.putFile({ digest, offset: 9n, content: Buffer.from("ld") })).rejects.toMatchObject({
      code: codes.OUT_OF_RANGE,
      reason: "GAP",
      metadata: { size: "6" },
    });
    expect((await files.findMissing({ digests: [digest] })).digests).toEqual([digest]);
    await files.putFile({ digest, offset: 2n, content: Buffer.from("llo world"), last: true });
    await files.putFile({ digest, offset: 2n, content: Buffer.from("llo world"), last: true });
    expect((await files.findMissing({ digests: [digest] })).digests).toEqual([]);
    const path = join(daemon.stateDir, "files", digest.slice(0, 2), digest);
    expect(await readFile(path, "utf8")).toBe("hello world");
  });

  it("that is another one is thrown away, and can be sent again", async () => {
    const { files } = daemon.muster;
    const digest = sha256("right");
    const put = (content: string) => files.putFile({ digest, content: Buffer.from(content), last: true });
    await expect(put("wrong")).rejects.toMatchObject({ reason: "DIGEST_MISMATCH" });
    await put("right");
    expect((await files.findMissing({ digests: [digest] })).digests).toEqual([]);
  });
});

describe("a tree", () => {
  it("is stored when its files are there, under the digest of its bytes", async () => {
    const { files } = daemon.muster;
    const tree = create(TreeSchema, { entries: [{ path: "motd", mode: 0o644, kind: file("hi") }] });
    await expect(files.putTree({ tree })).rejects.toMatchObject({
      reason: "FILES_MISSING",
      message: expect.stringContaining("motd"),
    });
    await files.putFile({ digest: sha256("hi"), content: Buffer.from("hi"), last: true });
    expect(await files.putTree({ tree })).toMatchObject({ digest: sha256(toBinary(TreeSchema, tree)) });
  });

  it("that leaves its directory is refused", async () => {
    const tree = { entries: [{ path: "../motd", mode: 0o644, kind: file("hi") }] };
    await expect(daemon.muster.files.putTree({ tree })).rejects.toMatchObject({ reason: "INVALID_TREE" });
  });
});

describe("muster apply", () => {
  const task = `kind: Task
name: files
roles: [controller]
sync: {source: web, path: /srv/web}
---
{kind: Task, name: run, roles: [controller], shell: {script: bin/run.sh}}
`;

  beforeEach(async () => {
    await mkdir(join(beside, "web/empty"), { recursive: true });
    await mkdir(join(beside, "bin"));
    await writeFile(join(beside, "web/index.html"), "<p>hello</p>");
    await writeFile(join(beside, "bin/run.sh"), "#!/bin/sh\n");
    await chmod(join(beside, "bin/run.sh"), 0o755);
    await symlink("index.html", join(beside, "web/latest"));
    await writeFile(join(beside, "web.yaml"), task);
  });

  it("sends what tasks name, and a task changes with it", async () => {
    expect(await apply()).toMatchObject({
      code: 0,
      err: "",
      out: expect.stringContaining("task/files created"),
    });
    const expected = create(TreeSchema, {
      entries: [
        { path: "empty", mode: 0o755, kind: { case: "directory", value: {} } },
        { path: "index.html", mode: 0o644, kind: file("<p>hello</p>") },
        { path: "latest", mode: 0o777, kind: { case: "link", value: "index.html" } },
      ],
    });
    expect(await sourcesOf("files")).toEqual({ web: packedTree(expected).digest });
    const script = create(TreeSchema, {
      entries: [{ path: "run.sh", mode: 0o755, kind: file("#!/bin/sh\n") }],
    });
    expect(await sourcesOf("run")).toEqual({ "bin/run.sh": packedTree(script).digest });
    expect((await apply()).out).toContain("task/files unchanged");
    await writeFile(join(beside, "web/index.html"), "<p>goodbye</p>");
    const { out } = await apply();
    expect(out).toContain("task/files changed");
    expect(out).toContain("task/run unchanged");
  });

  it.each([0, 1 << 20, 2_500_000])("sends a file of %i bytes whole", async (size) => {
    const content = Buffer.alloc(size, "muster");
    await writeFile(join(beside, "web/index.html"), content);
    expect((await apply()).code).toBe(0);
    const { digests } = await daemon.muster.files.findMissing({ digests: [sha256(content)] });
    expect(digests).toEqual([]);
  });

  it.each<[string, string, RegExp]>([
    [
      "that is not there",
      "sync: {source: nowhere, path: /a}",
      /web.yaml:4:16: sync.source: there is no directory `nowhere`/,
    ],
    ["outside its directory", "sync: {source: ../db, path: /a}", /web.yaml:4:16: .*`\.\.\/db` is not below/],
    ["that is a file", "sync: {source: web.yaml, path: /a}", /`web.yaml` is no directory/],
    ["that is a directory", "shell: {script: web}", /`web` is a directory/],
  ])("refuses a source %s, with its place", async (_, action, words) => {
    await writeFile(join(beside, "web.yaml"), `kind: Task\nname: files\nroles: [controller]\n${action}\n`);
    const { code, err } = await apply();
    expect(code).toBe(2);
    expect(err).toMatch(words);
  });

  it("refuses what is no file, and what is too large", async () => {
    await truncate(join(beside, "web/index.html"), 257 << 20);
    expect((await apply()).err).toContain("more than 256 MiB");
    await rm(join(beside, "web/index.html"));
    await symlink("/dev/null", join(beside, "bin/null"));
    await writeFile(join(beside, "web.yaml"), task.replace("bin/run.sh", "bin/null"));
    expect((await apply()).err).toContain("`bin/null` is no file");
  });

  it("is refused by the daemon at the field when the source did not come, or is not stored", async () => {
    const path = join(beside, "web.yaml");
    const files = [
      { path: "a.yaml", content: manifests },
      { path, content: task },
    ];
    const refusal = await daemon.muster.clusters.apply({ files }).catch((error: unknown) => error);
    expect(refusal).toMatchObject({
      reason: "INVALID_MANIFEST",
      fields: [{ field: `${path}:4:16: sync.source` }, { field: `${path}:6:62: shell.script` }],
    });
    const sources = [
      { file: path, source: "web", digest: sha256("never sent") },
      { file: path, source: "bin/run.sh", digest: sha256("never sent") },
    ];
    await expect(daemon.muster.clusters.apply({ files, sources })).rejects.toMatchObject({
      fields: [{ description: expect.stringContaining("is not stored") }, {}],
    });
    await expect(daemon.muster.clusters.getDocument({ name: "task/files" })).rejects.toMatchObject({
      code: codes.NOT_FOUND,
    });
  });

  it("has what it has sent in the backup, and the restored state can be used", async () => {
    await apply();
    const file = join(daemon.stateDir, "backup");
    expect((await done(muster(daemon.stateDir, `backup ${file}`))).code).toBe(0);
    const to = join(daemon.stateDir, "restored");
    await restoreBackup(file, to, { force: false, nowMs: Date.now() });
    const restored = new FileStore(join(to, "files"), Date.now);
    const tree = await restored.tree((await sourcesOf("files"))?.web ?? "");
    expect(tree.entries.map(({ path }) => path)).toEqual(["empty", "index.html", "latest"]);
    expect(`${await restored.content(sha256("<p>hello</p>"))}`).toBe("<p>hello</p>");
    expect((await readdir(to)).sort()).toEqual(["db", "db.revision", "files", "pki"]);
    // Once more over what is there: files are added to, not moved aside.
    await restoreBackup(file, to, { force: true, nowMs: Date.now() });
    expect(await restored.missing([sha256("#!/bin/sh\n")])).toEqual([]);
  });

  it("stores nothing with --dry-run, and says what would change", async () => {
    expect(await apply("--dry-run")).toMatchObject({
      code: 0,
      out: expect.stringContaining("task/files created"),
    });
    await expect(daemon.muster.clusters.getDocument({ name: "task/files" })).rejects.toMatchObject({
      code: codes.NOT_FOUND,
    });
  });
});

describe("fetched files", () => {
  const content = "ring of three\n";

  beforeEach(async () => {
    const { files } = daemon.muster;
    await files.putFile({ digest: sha256(content), content: Buffer.from(content), last: true });
    const fetched = await FetchedFiles.open(join(daemon.stateDir, "fetched"), () => {});
    for (const path of ["/etc/ring", "/var/../odd"]) {
      await fetched.keep(
        create(FetchedFileSchema, {
          name: `n1${path}`,
          node: "n1",
          path,
          sizeBytes: BigInt(content.length),
          digest: sha256(content),
          time: timestampFromMs(Date.now()),
          step: "demo-1/n1/bring",
        }),
      );
    }
    await writeFile(join(daemon.stateDir, "fetched", "damaged"), "no record");
    await daemon.restart();
  });

  it("are listed in order, filtered, page by page, and read", async () => {
    const { files } = daemon.muster;
    const first = await files.listFetchedFiles({ pageSize: 1, filter: "node = n1" });
    expect(first.files.map(({ name }) => name)).toEqual(["n1/etc/ring"]);
    const rest = await files.listFetchedFiles({ filter: "node = n1", pageToken: first.nextPageToken });
    expect(rest.files.map(({ name }) => name)).toEqual(["n1/var/../odd"]);
    const said = await done(muster(daemon.stateDir, "files get n1 /etc/ring"));
    expect(said).toMatchObject({ code: 0, out: content.trimEnd() });
    const path = join(daemon.stateDir, "ring");
    await done(muster(daemon.stateDir, `files get n1 /etc/ring -o ${path}`));
    expect(await readFile(path, "utf8")).toBe(content);
  });

  it("that do not exist are said not to", async () => {
    const { code, err } = await done(muster(daemon.stateDir, "files get n1 /etc/passwd"));
    expect([code, err]).toEqual([2, expect.stringContaining("nothing called n1/etc/passwd was fetched")]);
  });
});
