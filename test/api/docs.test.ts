// The documentation of the API is what the code says, and every RPC says what a caller has to know.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { apiPage } from "../../proto/docs/api-page.ts";
import { type ProtoFile, readProtoFiles } from "../../proto/docs/comments.ts";
import { reasons } from "../../proto/rpc/reasons.ts";

const root = join(import.meta.dirname, "../..");
let files: ProtoFile[];
beforeAll(() => {
  const buf = join(root, "node_modules/.bin/buf");
  files = readProtoFiles(execFileSync(buf, ["build", "-o", "-"], { cwd: root, maxBuffer: 16 << 20 }));
});

describe("docs/api.md", () => {
  it("is what `npm run gen` writes", () => {
    expect(readFileSync(join(root, "docs/api.md"), "utf8")).toBe(apiPage(files));
  });

  it("has every message that a field names", () => {
    const types = files.flatMap(({ messages, enums }) => [...messages, ...enums].map(({ name }) => name));
    expect(new Set(types).size).toBe(types.length);
    const page = readFileSync(join(root, "docs/api.md"), "utf8");
    const rpcTypes = new Set(
      files
        .flatMap(({ services }) => services)
        .flatMap(({ rpcs }) => rpcs.flatMap((rpc) => [rpc.request, rpc.response])),
    );
    const stored =
      files.find(({ name }) => name === "muster/v1/record.proto")?.messages.map(({ name }) => name) ?? [];
    const missing = types.filter(
      (name) => !rpcTypes.has(name) && !stored.includes(name) && !page.includes(`### ${name}\n`),
    );
    expect(missing).toEqual([]);
  });
});

describe("the comment of an RPC", () => {
  it.each([
    ["in which states it is legal", /\blegal\b/i],
    ["its errors", /\bErrors:\s/],
    ["whether it is idempotent", /\bidempotent\b/i],
  ])("says %s", (_, pattern) => {
    const rpcs = files.flatMap(({ services }) => services).flatMap((service) => service.rpcs);
    expect(rpcs.length).toBeGreaterThan(35);
    expect(rpcs.filter(({ comment }) => !pattern.test(comment)).map(({ name }) => name)).toEqual([]);
  });

  it("names reasons that there are", () => {
    const rpcs = files.flatMap(({ services }) => services).flatMap((service) => service.rpcs);
    const named = rpcs.flatMap(({ comment }) => [
      ...(comment.split(/Errors:\s/)[1] ?? "").matchAll(/\b[A-Z]+_[A-Z_]+\b/g),
    ]);
    const codes = [
      "INVALID_ARGUMENT",
      "FAILED_PRECONDITION",
      "OUT_OF_RANGE",
      "RESOURCE_EXHAUSTED",
      "ALREADY_EXISTS",
      "DATA_LOSS",
      "PERMISSION_DENIED",
    ];
    const unknown = named.map(([name]) => name).filter((name) => !reasons[name] && !codes.includes(name));
    expect(unknown).toEqual([]);
  });
});

describe("the reasons of errors", () => {
  it("are those that the daemon gives", () => {
    const folders = ["daemon", "daemon/api", "daemon/delivery", "daemon/engine", "proto/rpc"];
    const sources = folders.flatMap((folder) =>
      readdirSync(join(root, folder))
        .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts") && file !== "reasons.ts")
        .map((file) => readFileSync(join(root, folder, file), "utf8")),
    );
    const pattern = /(?:\breason: |(?:refused|faulty|invalidField)\(\s*)"([A-Z_]+)"/g;
    const given = sources.flatMap((text) => [...text.matchAll(pattern)].map(([, name]) => name));
    expect([...new Set(given)].sort()).toEqual(Object.keys(reasons).sort());
  });
});
