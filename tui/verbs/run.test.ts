import { describe, expect, it } from "vitest";
import type { RunRequest } from "../../proto/gen/muster/v1/run_pb.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { done, muster, start } from "../testing/muster.ts";

type Said = [node: string, text: string, exitCode?: number, reason?: string];

/** A daemon that has these answers, and the requests that it was sent. */
async function daemonWith(answers: Said[], offline: string[] = []) {
  const requests: RunRequest[] = [];
  const fake = await start({
    runs: {
      run: async function* (request) {
        requests.push(request);
        const nodes = [...answers.map(([node]) => node), ...offline];
        yield { message: { case: "chosen", value: { nodes, offline } } };
        for (const [node, text, exitCode = 0, reason = ""] of answers) {
          const [stdout = "", stderr = ""] = text.split("|");
          // In pieces, as they come over a network.
          for (const piece of stdout.match(/.{1,3}/gs) ?? [])
            yield { message: { case: "output", value: { node, content: Buffer.from(piece) } } };
          if (stderr)
            yield { message: { case: "output", value: { node, error: true, content: Buffer.from(stderr) } } };
          yield { message: { case: "ended", value: { node, exitCode, reason } } };
        }
      },
    },
  });
  return { fake, requests };
}

describe("run", () => {
  it("groups nodes by what they say, and fails if one does", async () => {
    const { fake, requests } = await daemonWith(
      [
        ["n3", "up 3 days\n"],
        ["n1", "up 3 days\n"],
        ["n2", "up 3 days\n"],
        ["n4", "|no such file\n", 2],
        ["n5", "half", -1, "took longer than 30 s"],
      ],
      ["n6", "n7"],
    );
    const line = "run -l role=compute -l n[1-7] --batch 10 --timeout 30s -- uptime -p --yes";
    const { code, out } = await done(muster(fake.stateDir, line));
    expect(out).toBe(
      [
        "n[1-3] (3 nodes), exit 0:",
        "up 3 days",
        "n[6-7] (2 nodes), it has no session:",
        "n5 (1 node), took longer than 30 s:",
        "half",
        "n4 (1 node), exit 2:",
        "no such file",
      ].join("\n"),
    );
    expect(code).toBe(1);
    expect(requests).toMatchObject([
      {
        selectors: ["role=compute", "n[1-7]"],
        argv: ["uptime", "-p", "--yes"],
        batch: 10,
        timeout: { seconds: 30n },
      },
    ]);
  });

  it("succeeds if all do, and gives JSON to programs", async () => {
    const { fake } = await daemonWith([
      ["n1", "a|b"],
      ["n2", "a|b"],
    ]);
    const { code, out } = await done(muster(fake.stateDir, "run -l n[1-2] -o json -- true"));
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({
      nodes: ["n1", "n2"],
      items: [{ nodes: ["n1", "n2"], exitCode: 0, reason: "", stdout: "a", stderr: "b", droppedBytes: 0 }],
    });
  });

  it("counts on a terminal, and takes out what could command it", async () => {
    const { fake } = await daemonWith([["n1", "\u001b[31mred\n"]]);
    const { out } = await done(muster(fake.stateDir, "run -l n1 -- date", { terminal: true }));
    expect(out).toContain("\r\u001b[K0/1 done");
    expect(out.split("\n").at(-1)).not.toContain("\u001b[31m");
  });

  it("runs on every node only if that is meant", async () => {
    const { fake, requests } = await daemonWith([["n1", ""]]);
    expect(await done(muster(fake.stateDir, "run -l * -- reboot"))).toMatchObject({
      code: 2,
      err: "muster: -l '*' is every node; --yes agrees to it",
    });
    expect(requests).toEqual([]);
    expect((await done(muster(fake.stateDir, "run -l * --yes -- true"))).code).toBe(0);
    expect(requests).toHaveLength(1);
    expect((await done(muster(fake.stateDir, "run -- true"))).err).toMatch(/-l, --selector.* not specified/);
  });

  it("is interrupted on all nodes by an interrupt", async () => {
    let gone = false;
    const interrupt = new AbortController();
    const fake = await start({
      runs: {
        run: async function* (_request, { signal }) {
          yield { message: { case: "chosen", value: { nodes: ["n1", "n2"] } } };
          yield { message: { case: "output", value: { node: "n1", content: Buffer.from("so far\n") } } };
          await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
          gone = true;
        },
      },
    });
    const running = muster(fake.stateDir, "run -l n1 -- sleep 100", { signal: interrupt.signal });
    setTimeout(() => interrupt.abort(), 300);
    const { code, out } = await done(running);
    expect([code, out]).toEqual([130, "n1 (1 node), interrupted:\nso far\nn2 (1 node), interrupted:"]);
    await expect.poll(() => gone).toBe(true);
  });

  it("says what the daemon does not take", async () => {
    const fake = await start({
      runs: {
        run: async function* () {
          yield* [];
          throw new RpcError(codes.INVALID_ARGUMENT, "there is no node `n9`", { reason: "INVALID_FILTER" });
        },
      },
    });
    const { code, err } = await done(muster(fake.stateDir, "run -l n9 -- true"));
    expect([code, err]).toEqual([2, "muster: there is no node `n9`"]);
  });
});
