import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PuppetActionSchema, UploadFileActionSchema } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { ShellStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { createRunner } from "../runner.ts";
import type { StepContext } from "../step.ts";
import { puppet } from "./puppet.ts";
import { shell } from "./shell.ts";
import { uploadFile } from "./upload-file.ts";

let dir: string;
let lines: string[];
const path = process.env.PATH;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "steps-"));
  lines = [];
});
afterEach(() => {
  rmSync(dir, { recursive: true });
  process.env.PATH = path;
});

function context(): StepContext {
  const log = (line: string) => {
    lines.push(line);
  };
  return {
    run: createRunner(log),
    log,
    progress: () => {},
    erased: () => {},
    signal: new AbortController().signal,
    step: "demo-1/n1/task",
    attempt: 1,
    images: { locate: () => Promise.reject(new Error("no images here")), report: async () => {} },
    secrets: () => Promise.reject(new Error("no secrets here")),
    identity: { node: "n1", joinBundle: "{}", imageKey: "", privateKey: "", certificate: "" },
  };
}

describe("shell", () => {
  it("gives the command its environment and stops at the first failing line", async () => {
    const command = 'echo "$ROLE on $(hostname)"\nfalse\necho unreachable';
    const action = create(ShellStepSchema, { command, environment: { ROLE: "compute" } });
    await expect(shell(action, context())).rejects.toMatchObject({ name: "CommandError", code: 1 });
    expect(lines.some((line) => line.startsWith("compute on "))).toBe(true);
    expect(lines).not.toContain("unreachable");
    const fine = create(ShellStepSchema, { command: "true" });
    expect(await shell(fine, context())).toMatch(/^the command succeeded after \d+\.\d s$/);
  });
});

describe("upload_file", () => {
  it("writes content and mode, below folders that it makes, and then leaves it alone", async () => {
    const file = join(dir, "etc/app/app.conf");
    const action = create(UploadFileActionSchema, { path: file, content: "key=ä\n", mode: "0640" });
    expect(await uploadFile(action, context())).toBe(`${file}: 7 bytes, mode 0640`);
    expect(readFileSync(file, "utf8")).toBe("key=ä\n");
    expect(statSync(file).mode & 0o7777).toBe(0o640);
    expect(readdirSync(join(dir, "etc/app"))).toEqual(["app.conf"]);
    expect(await uploadFile(action, context())).toBe(`${file}: unchanged`);
    expect(await uploadFile({ ...action, mode: "" }, context())).toBe(`${file}: 7 bytes, mode 0644`);
  });

  it("names the folder that is in the way", async () => {
    const action = create(UploadFileActionSchema, { path: dir, content: "x" });
    await expect(uploadFile(action, context())).rejects.toThrow(dir);
  });
});

describe("puppet", () => {
  const action = create(PuppetActionSchema, { manifest: "notify { 'hello': }" });

  /** A stand-in that shows its manifest and exits as Puppet would. */
  function installPuppet(exitCode: number) {
    const program = join(dir, "puppet");
    writeFileSync(
      program,
      `#!/bin/sh\nfor last; do :; done\ncat "$last"; echo\necho "Error: boom" >&2\nexit ${exitCode}\n`,
    );
    chmodSync(program, 0o755);
    process.env.PATH = `${dir}:${path}`;
  }

  it.each([
    [0, "no change"],
    [2, "changed"],
  ])("takes exit code %i for success: %s", async (exitCode, result) => {
    installPuppet(exitCode);
    expect(await puppet(action, context())).toBe(result);
    expect(lines).toContain("notify { 'hello': }");
    expect(lines[0]).toMatch(/^\$ puppet apply --detailed-exitcodes --logdest console --color false /);
  });

  it.each([
    [1, /does not compile/],
    [4, /some resources failed/],
    [6, /there were changes, and some resources failed/],
  ])("takes exit code %i for a failure", async (exitCode, message) => {
    installPuppet(exitCode);
    const error = await puppet(action, context()).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: exitCode, message: expect.stringMatching(message) });
    expect(error).toMatchObject({ message: expect.stringContaining("Error: boom") });
  });

  it("says what the image lacks", async () => {
    process.env.PATH = dir;
    await expect(puppet(action, context())).rejects.toThrow(
      "add puppet-agent to the packages of the image's recipe",
    );
  });
});
