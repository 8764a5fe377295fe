// `muster files` against a fake daemon, and what `muster apply` sends before it applies.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { done, folder, muster, start } from "../testing/muster.ts";

it("lists what was fetched, as a table and as JSON", async () => {
  const fake = await start();
  const { code, out } = await done(muster(fake.stateDir, "files list"));
  expect(code).toBe(0);
  expect(out).toMatchInlineSnapshot(`
    "NODE  PATH       SIZE  FETCHED              STEP
    n1    /etc/ring  14 B  2026-01-01 12:00:00  demo-1/n1/fetch-ring"
  `);
  const json = await done(muster(fake.stateDir, "files list --json"));
  expect(JSON.parse(json.out)).toMatchObject({ items: [{ name: "n1/etc/ring", sizeBytes: "14" }] });
});

it("prints text, and writes anything to a file, whole or not at all", async () => {
  const fake = await start();
  expect(await done(muster(fake.stateDir, "files get n1 /etc/ring"))).toMatchObject({
    code: 0,
    out: "ring of three",
  });
  const to = await folder({});
  const written = await done(muster(fake.stateDir, `files get n1 /etc/ring -o ${to}/ring`));
  expect(written).toMatchObject({ code: 0, out: `${to}/ring: 14 B` });
  expect(readFileSync(join(to, "ring"), "utf8")).toBe("ring of three\n");
  const nowhere = await done(muster(fake.stateDir, `files get n1 /etc/ring -o ${to}/no/ring`));
  expect(nowhere).toMatchObject({ code: 2, err: expect.stringContaining("cannot write") });
});

it("refuses to print what is no text, and leaves nothing of what breaks off", async () => {
  const fake = await start({
    files: {
      readFetchedFile: async function* ({ name }) {
        yield { content: Buffer.from([0, 255]) };
        if (name === "n1/broken") throw new RpcError(codes.DATA_LOSS, "the disk is gone");
      },
    },
  });
  const binary = await done(muster(fake.stateDir, "files get n1 /etc/ring"));
  expect(binary).toMatchObject({ code: 2, out: "", err: expect.stringContaining("-o FILE") });
  const to = await folder({ kept: "as it was" });
  const broken = await done(muster(fake.stateDir, `files get n1 /broken -o ${to}/kept`));
  expect(broken.code).toBe(1);
  expect(readdirSync(to)).toEqual(["kept"]);
  expect(readFileSync(join(to, "kept"), "utf8")).toBe("as it was");
});

it("sends only what the daemon does not have", async () => {
  const put: string[] = [];
  const fake = await start({
    files: {
      findMissing: async ({ digests }) => ({ digests: digests.slice(0, 1) }),
      putFile: async ({ content }) => {
        put.push(Buffer.from(content).toString());
        return {};
      },
      putTree: async () => {
        throw new Error("it has the tree");
      },
    },
  });
  const files = "copy_files: {files: [{source: a, path: /a}, {source: b, path: /b}]}";
  const at = await folder({ "t.yaml": `{kind: Task, name: t, roles: ['*'], ${files}}`, a: "A", b: "B" });
  expect((await done(muster(fake.stateDir, `apply -f ${at}/t.yaml`))).code).toBe(0);
  expect(put).toEqual(["A"]);
  expect(fake.calls).toMatchObject([
    { method: "apply", request: { sources: [{ file: `${at}/t.yaml`, source: "a" }, { source: "b" }] } },
  ]);
});
