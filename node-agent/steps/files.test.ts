import {
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import {
  MergeConfigActionSchema,
  TemplateActionSchema,
  UploadFileActionSchema,
  UploadFilesActionSchema,
} from "../../proto/gen/muster/v1/task_pb.ts";
import { testContext } from "../step-fixture.ts";
import { mergeConfig } from "./merge-config.ts";
import { template } from "./template.ts";
import { uploadFile, uploadFiles } from "./upload-file.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "files-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const isRoot = process.getuid?.() === 0;
const { CHANGED, OK } = TaskOutcome;
const check = () => testContext({ check: true });

describe("upload_file", () => {
  it("writes content and mode, below folders that it makes, and then leaves it alone", async () => {
    const file = join(dir, "etc/app/app.conf");
    const action = create(UploadFileActionSchema, { path: file, content: "key=ä {{ x }}\n", mode: "0640" });
    expect(await uploadFile(action, testContext())).toMatchObject({
      result: `${file}: created`,
      outcome: CHANGED,
      changes: [{ what: `file ${file}`, action: "create" }],
    });
    expect(readFileSync(file, "utf8")).toBe("key=ä {{ x }}\n");
    expect(statSync(file).mode & 0o7777).toBe(0o640);
    expect(readdirSync(join(dir, "etc/app"))).toEqual(["app.conf"]);
    expect(await uploadFile(action, testContext())).toMatchObject({
      result: `${file}: unchanged`,
      outcome: OK,
    });
    expect(await uploadFile({ ...action, mode: "" }, testContext())).toMatchObject({
      outcome: CHANGED,
      changes: [{ action: "set rights", diff: "mode 0640 -> 0644\n" }],
    });
    expect(statSync(file).mode & 0o7777).toBe(0o644);
  });

  it("says in a check what would be different, and changes nothing", async () => {
    const file = join(dir, "app.conf");
    const action = create(UploadFileActionSchema, { path: file, content: "one\nthree\n" });
    expect(await uploadFile(action, check())).toMatchObject({ changes: [{ action: "create" }] });
    expect(existsSync(file)).toBe(false);
    writeFileSync(file, "one\ntwo\n", { mode: 0o600 });
    const { ino, mode, mtimeNs } = statSync(file, { bigint: true });
    expect(await uploadFile(action, check())).toMatchObject({
      result: `${file}: would change`,
      outcome: CHANGED,
      changes: [
        {
          what: `file ${file}`,
          action: "update",
          diff: `mode 0600 -> 0644\n--- ${file}\n+++ ${file}\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n`,
        },
      ],
    });
    expect(statSync(file, { bigint: true })).toMatchObject({ ino, mode, mtimeNs });
    expect(readdirSync(dir)).toEqual(["app.conf"]);
  });

  it("names the folder that is in the way", async () => {
    const action = create(UploadFileActionSchema, { path: dir, content: "x" });
    await expect(uploadFile(action, testContext())).rejects.toThrow(/EISDIR/);
  });

  it.runIf(isRoot)("gives the file to its owner, by name or number, and back to root", async () => {
    const file = join(dir, "owned");
    const action = create(UploadFileActionSchema, { path: file, owner: "daemon", group: "2" });
    await uploadFile(action, testContext());
    const { uid, gid } = statSync(file);
    expect([uid, gid]).toEqual([1, 2]);
    expect(await uploadFile(action, testContext())).toMatchObject({ outcome: OK });
    chownSync(file, 5, 5);
    expect(await uploadFile({ ...action, owner: "", group: "" }, testContext())).toMatchObject({
      changes: [{ diff: "owner 5 -> 0\ngroup 5 -> 0\n" }],
    });
    const nobody = { ...action, owner: "no-such-user" };
    await expect(uploadFile(nobody, testContext())).rejects.toThrow(
      "there is no user no-such-user on this node",
    );
    expect(await uploadFile(nobody, check())).toMatchObject({
      changes: [{ diff: expect.stringContaining("owner 0 -> one that is not there yet") }],
    });
  });

  it("of several names those that have changed", async () => {
    const paths = ["a", "b", "c"].map((name) => join(dir, name));
    const files = paths.map((path) => ({ path, content: path }));
    writeFileSync(join(dir, "b"), join(dir, "b"), { mode: 0o644 });
    const context = testContext();
    const done = await uploadFiles(create(UploadFilesActionSchema, { files }), context);
    expect(done).toMatchObject({
      result: "2 of 3 files: changed",
      changes: [{ what: `file ${paths[0]}` }, { what: `file ${paths[2]}` }],
    });
    expect(context.reports.at(-1)).toMatchObject({ currentItems: 3, totalItems: 3, changedItems: 2 });
  });
});

describe("template", () => {
  const values = { node: { name: "n1" }, parameters: { ports: [80, 443] } };

  it("renders what the manifest or a file beside it has", async () => {
    const path = join(dir, "app.conf");
    const text = "{% for port in parameters.ports %}\nlisten {{ node.name }}:{{ port }}\n{% endfor %}\n";
    const sources = { "templates/app.conf": text };
    const action = create(TemplateActionSchema, { path, source: "templates/app.conf" });
    expect(await template(action, testContext({ values, sources }))).toMatchObject({ outcome: CHANGED });
    expect(readFileSync(path, "utf8")).toBe("listen n1:80\nlisten n1:443\n");
    const inManifest = create(TemplateActionSchema, { path, content: text });
    expect(await template(inManifest, testContext({ values }))).toMatchObject({ outcome: OK });
    const broken = testContext({ values, sources: { "templates/app.conf": "\n{{ node.nmae }}" } });
    await expect(template(action, broken)).rejects.toThrow("template of templates/app.conf, line 2");
  });

  it("puts nothing in its place that is not valid, and leaves nothing behind", async () => {
    const path = join(dir, "app.conf");
    writeFileSync(path, "good\n");
    const action = create(TemplateActionSchema, { path, content: "bad\n", validate: "grep -q good %s" });
    for (const context of [testContext(), check()]) {
      await expect(template(action, context)).rejects.toThrow(
        `the new ${path} is not valid, and the old one stays`,
      );
    }
    expect(readFileSync(path, "utf8")).toBe("good\n");
    expect(readdirSync(dir)).toEqual(["app.conf"]);
    expect(await template({ ...action, content: "very good\n" }, testContext())).toMatchObject({
      outcome: CHANGED,
    });
  });
});

describe("merge_config", () => {
  const sources = {
    "nova.conf": "[DEFAULT]\nhost = {{ node.name }}\ndebug = false\n",
    config: { "n1/nova.conf": "[DEFAULT]\ndebug = true\n" },
  };
  const layers = [
    { content: "[DEFAULT]\nhost = none\n" },
    { source: "nova.conf" },
    { source: "missing.conf", optional: true },
    { tree: "config", source: "{{ node.name }}/nova.conf", optional: true },
  ];

  it("merges layers that are there, each rendered", async () => {
    const path = join(dir, "nova.conf");
    const action = create(MergeConfigActionSchema, { path, format: "ini", layers });
    const on = (name: string) => testContext({ values: { node: { name } }, sources });
    expect(await mergeConfig(action, on("n1"))).toMatchObject({ outcome: CHANGED });
    expect(readFileSync(path, "utf8")).toBe("[DEFAULT]\nhost = n1\ndebug = true\n\n");
    expect(await mergeConfig(action, on("n1"))).toMatchObject({ outcome: OK });
    await mergeConfig(action, on("n2"));
    expect(readFileSync(path, "utf8")).toBe("[DEFAULT]\nhost = n2\ndebug = false\n\n");
    const needed = create(MergeConfigActionSchema, {
      path,
      format: "ini",
      layers: [{ tree: "config", source: "x.conf" }],
    });
    await expect(mergeConfig(needed, on("n1"))).rejects.toThrow("there is no x.conf in config");
  });

  it("merges YAML, and names the layer that is broken", async () => {
    const path = join(dir, "globals.yml");
    const action = create(MergeConfigActionSchema, {
      path,
      format: "yaml",
      layers: [{ content: "a: {b: 1}\n" }, { content: "a: {c: '{{ node.name }}'}\n" }],
    });
    await mergeConfig(action, testContext({ values: { node: { name: "n1" } } }));
    expect(readFileSync(path, "utf8")).toBe("a:\n  b: 1\n  c: 'n1'\n");
    const broken = create(MergeConfigActionSchema, { path, format: "yaml", layers: [{ content: "a: [" }] });
    await expect(mergeConfig(broken, testContext())).rejects.toThrow("layers[0]: ");
  });
});
