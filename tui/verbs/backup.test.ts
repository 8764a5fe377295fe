import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { done, folder, muster, start } from "../testing/muster.ts";

const twoPieces = async function* () {
  yield { content: Buffer.from("first, ") };
  yield { content: Buffer.from("second") };
};

const breaking = async function* () {
  yield { content: Buffer.from("first, ") };
  throw new RpcError(codes.UNAVAILABLE, "the daemon has gone");
};

describe("backup", () => {
  it("writes what the daemon sends into a file that its owner alone can read", async () => {
    const fake = await start({ daemon: { backup: twoPieces } });
    const to = await folder({});
    const { code, out } = await done(muster(fake.stateDir, `backup ${to}/file`));
    expect(code).toBe(0);
    expect(out).toMatch(/has the whole state, 13 B; .*\n.*keep it secret.*images and logs are not in it/);
    expect(await readFile(join(to, "file"), "utf8")).toBe("first, second");
    expect((await stat(join(to, "file"))).mode & 0o777).toBe(0o600);
    expect(await readdir(to)).toEqual(["file"]);
  });

  it("refuses to overwrite a file, or one that is being written, without --force", async () => {
    const fake = await start({ daemon: { backup: twoPieces } });
    const to = await folder({ old: "old", "new.partial": "half" });
    const refused = await done(muster(fake.stateDir, `backup ${to}/old`));
    expect(refused).toMatchObject({ code: 2, err: expect.stringMatching(/is there already/) });
    const partial = await done(muster(fake.stateDir, `backup ${to}/new`));
    expect(partial).toMatchObject({ code: 2, err: expect.stringMatching(/new\.partial is there/) });
    expect(await readFile(join(to, "old"), "utf8")).toBe("old");
    for (const name of ["old", "new"]) {
      expect(await done(muster(fake.stateDir, `backup ${to}/${name} --force`))).toMatchObject({ code: 0 });
      expect(await readFile(join(to, name), "utf8")).toBe("first, second");
    }
  });

  it("leaves the old file and no other when it breaks off", async () => {
    const fake = await start({ daemon: { backup: breaking } });
    const to = await folder({ file: "old" });
    const { code, err } = await done(muster(fake.stateDir, `backup ${to}/file --force`));
    expect(code).toBe(3);
    expect(err).toMatch(/the daemon has gone/);
    expect(await readdir(to)).toEqual(["file"]);
    expect(await readFile(join(to, "file"), "utf8")).toBe("old");
  });

  it("says that it cannot write where it may not", async () => {
    const fake = await start({ daemon: { backup: twoPieces } });
    const { code, err } = await done(muster(fake.stateDir, "backup /nonexistent/file"));
    expect(code).toBe(2);
    expect(err).toMatch(/cannot write \/nonexistent\/file\.partial: ENOENT/);
  });
});
