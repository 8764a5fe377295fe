import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { done, folder, muster, start } from "../testing/muster.ts";

const sent = ({ calls }: Awaited<ReturnType<typeof start>>) =>
  calls.map(({ request }) => {
    const { name, content } = request as { name: string; content: Uint8Array };
    return `${name}: ${JSON.stringify(Buffer.from(content).toString("latin1"))}`;
  });
const input = (text: string) => ({ input: async () => Buffer.from(text, "latin1") });

describe("secret set", () => {
  it("sends the standard input, or a file, byte by byte, and shows nothing of it", async () => {
    const fake = await start();
    const path = await folder({ key: " from a file \n\n" });
    const { code, out, err } = await done(
      muster(fake.stateDir, "secret set disk-key", input(" two\0\xff words ")),
    );
    expect([code, out, err]).toEqual([0, "secret/disk-key set, 13 B", ""]);
    await done(muster(fake.stateDir, `secret set other --from ${join(path, "key")}`, input("not this")));
    expect(sent(fake)).toEqual(['disk-key: " two\\u0000ÿ words "', 'other: " from a file \\n\\n"']);
  });

  it("says when the secret ends in what nobody can type", async () => {
    const setSecret = async ({ content }: { content: Uint8Array }) => ({
      secret: { typable: !content.includes(0x0a) },
    });
    const fake = await start({ secrets: { setSecret } });
    const { code, out, err } = await done(muster(fake.stateDir, "secret set disk-key", input("echoed\n")));
    expect([code, out]).toEqual([0, "secret/disk-key replaced, 7 B"]);
    expect(err).toMatch(/its last byte is a line end, which nobody can type/);
    expect((await done(muster(fake.stateDir, "secret set disk-key", input("plain")))).err).toBe("");
  });

  it("asks twice in a terminal, and shows nothing", async () => {
    const fake = await start();
    const answers = ["sesame", "sesame", "sesame", "another", ""];
    const asked: string[] = [];
    const set = () =>
      done(
        muster(fake.stateDir, "secret set disk-key", {
          askHidden: async (question) => {
            asked.push(question);
            return answers.shift() ?? "";
          },
        }),
      );
    expect(await set()).toEqual({ code: 0, out: "secret/disk-key set, 6 B", err: "" });
    expect(await set()).toMatchObject({
      code: 2,
      err: expect.stringMatching(/not the same; nothing was stored/),
    });
    expect(await set()).toMatchObject({
      code: 2,
      err: expect.stringMatching(/is empty; nothing was stored/),
    });
    expect(asked).toEqual(["Secret: ", "The same again: ", "Secret: ", "The same again: ", "Secret: "]);
    expect(sent(fake)).toEqual(['disk-key: "sesame"']);
  });

  it.each([
    ["an empty one", "secret set disk-key", "", /is empty; nothing was stored/],
    ["one that is too long", "secret set disk-key", "x".repeat(65_537), /at most 64 KiB/],
    ["one as an argument", "secret set disk-key sesame", "input", /no argument, where everybody/],
    [
      "a file that is not there",
      "secret set disk-key --from /nowhere",
      "input",
      /cannot read \/nowhere: ENOENT/,
    ],
    ["none at all", "secret set", "input", /missing required argument 'name'/],
  ])("refuses %s, without a word of it", async (_, args, text, message) => {
    const fake = await start();
    const { code, out, err } = await done(muster(fake.stateDir, args, input(text)));
    expect([code, out]).toEqual([2, ""]);
    expect(err).toMatch(message);
    expect(err).not.toMatch(/sesame|xxx/);
    expect(fake.calls).toEqual([]);
  });
});

describe("secret list", () => {
  it("shows what there is, as a table and as JSON", async () => {
    const fake = await start();
    const { out } = await done(muster(fake.stateDir, "secret list"));
    expect(out.split("\n").map((line) => line.split(/ {2,}/).slice(0, 3))).toEqual([
      ["NAME", "SIZE", "TYPABLE"],
      ["disk-key", "12 B", "yes"],
    ]);
    const json = JSON.parse((await done(muster(fake.stateDir, "secret list -o json"))).out);
    expect(json.items).toMatchObject([{ name: "disk-key", sizeBytes: 12, typable: true, etag: "7" }]);
  });
});

describe("secret delete", () => {
  it("asks for the name, and deletes the secret as it was seen", async () => {
    const fake = await start();
    const answer = (text: string) =>
      done(muster(fake.stateDir, "secret delete disk-key", { interactive: true, ask: async () => text }));
    expect((await answer("other-key")).code).toBe(2);
    expect((await done(muster(fake.stateDir, "secret delete disk-key"))).err).toMatch(/--yes agrees to it/);
    expect(fake.calls).toEqual([]);
    expect((await answer("disk-key")).out).toMatch(/opens only with a copy.*\nsecret\/disk-key deleted$/);
    expect(fake.calls).toMatchObject([{ method: "delete", request: { name: "disk-key", etag: "7" } }]);
  });

  it("says that there is none of that name, and what stands against it", async () => {
    const deleteSecret = async () => {
      throw new RpcError(codes.FAILED_PRECONDITION, "secret disk-key is named by scheme/lvm", {
        reason: "IN_USE",
      });
    };
    const fake = await start({ secrets: { deleteSecret } });
    const none = await done(muster(fake.stateDir, "secret delete disk --yes"));
    expect(none).toMatchObject({
      code: 2,
      err: expect.stringMatching(/no secret disk; `muster secret list`/),
    });
    const used = await done(muster(fake.stateDir, "secret delete disk-key --yes"));
    expect(used).toMatchObject({ code: 2, err: "muster: secret disk-key is named by scheme/lvm" });
  });
});
