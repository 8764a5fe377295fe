import { render } from "ink";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Deployment_State, Purpose, Step_State } from "../proto/gen/muster/v1/deployment_pb.ts";
import { App } from "./app.tsx";
import { createOperator } from "./client.ts";
import { Session } from "./session.ts";
import { isLive, Store } from "./store.ts";
import { now, step } from "./testing/fixtures.ts";
import { FakeOperator, type Overrides } from "./testing/operator.ts";
import { plan } from "./testing/plan.ts";
import { taskPlan } from "./testing/tasks.ts";
import { createTerminal } from "./testing/terminal.ts";
import { glyphsFor } from "./theme.ts";
import { sleep, watchFeed } from "./watch.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** The screens on an emulated terminal, connected to an operator API that holds the fixtures. */
async function open({ columns = 80, rows = 24, overrides = {} as Overrides } = {}) {
  const fake = (await FakeOperator.start(overrides)).fill();
  const operator = createOperator(fake.socket);
  const clock = { now };
  const store = new Store(() => clock.now);
  const stop = new AbortController();
  const glyphs = glyphsFor({});
  const quit = vi.fn();
  const session = new Session({ operator, snapshot: store.getSnapshot, now: () => clock.now, glyphs, quit });
  const feeding = store.run(watchFeed(operator.watch, { signal: stop.signal, sleep }));
  const terminal = createTerminal(columns, rows);
  const app = render(<App session={session} store={store} glyphs={glyphs} />, {
    stdout: terminal.stdout,
    stdin: terminal.stdin,
    interactive: true,
    patchConsole: false,
    incrementalRendering: true,
    exitOnCtrlC: false,
  });
  cleanups.push(
    () => fake[Symbol.asyncDispose](),
    () => operator[Symbol.dispose](),
    () => feeding,
    () => stop.abort(),
    () => session.close(),
    () => app.unmount(),
  );
  await vi.waitFor(() => expect(store.getSnapshot().world.progress.size).toBe(2), { timeout: 5000 });
  /** The screen once it shows `text`. */
  const shows = (text: string) =>
    vi.waitFor(
      async () => {
        await app.waitUntilRenderFlush();
        const screen = await terminal.screen();
        expect(screen).toContain(text);
        return screen;
      },
      { timeout: 5000, interval: 20 },
    );
  return { fake, terminal, store, session, clock, quit, shows };
}

describe("screens at 80×24", () => {
  it("shows clusters, what needs the operator, and activity", async () => {
    const { shows } = await open();
    expect(await shows("q quit")).toMatchSnapshot();
  });

  it("shows the nodes", async () => {
    const { terminal, shows } = await open();
    terminal.type("2");
    expect(await shows("STEP / REASON")).toMatchSnapshot();
  });

  it("shows a node with its steps, reason, disks and hardware", async () => {
    const { terminal, shows } = await open();
    // Three keys in one input, as a fast typist or tmux sends them.
    terminal.type("2jj\r");
    expect(await shows("Nodes › n3")).toMatchSnapshot();
    terminal.type("G");
    expect(await shows("BIOS SeaBIOS")).toContain("QEMU Virtual CPU");
  });

  it("shows a deployment live", async () => {
    const { terminal, shows } = await open();
    terminal.type("3\r");
    expect(await shows("Deployments › demo-1")).toMatchSnapshot();
  });

  it("shows images, events and logs", async () => {
    const { terminal, shows } = await open();
    terminal.type("4");
    expect(await shows("4f1c9a0e4f1c")).toContain("debian-12");
    terminal.type("5");
    expect(await shows("asks to join")).toContain("n3/image  chunk 412 is damaged");
    terminal.type("6");
    expect(await shows("demo-1/n3/image")).toContain("demo-1/n1/bootstrap");
  });
});

describe("keys", () => {
  it("tails the log of what the cursor is on, and goes back", async () => {
    const { terminal, shows } = await open();
    terminal.type("3\rl");
    await shows("second line red");
    terminal.type("\u001b");
    await shows("Deployments › demo-1");
  });

  it("goes on with the log of the next attempt", async () => {
    let attempt = 1;
    const overrides: Overrides = {
      watch: {
        tailLog: async function* () {
          yield { content: Buffer.from(`the words of attempt ${attempt}\n`) };
        },
      },
    };
    const { terminal, fake, shows } = await open({ overrides });
    terminal.type("6l");
    await shows("end of log");
    attempt = 2;
    fake.put({ case: "step", value: { ...fake.step("demo-1/n1/image"), attempt } });
    expect(await shows("the words of attempt 2")).toContain("── attempt 2 ──");
  });

  it("filters a list while typing and keeps what was found", async () => {
    const { terminal, shows } = await open();
    terminal.type("2/await\r");
    const screen = await shows("filter: await");
    expect(screen).toContain("n4");
    expect(screen).not.toContain("n1 ");
    terminal.type("\u001b");
    await shows("n1 ");
  });

  it("approves the node that waits and refuses another, saying why", async () => {
    const { terminal, fake, shows } = await open();
    terminal.type("2a");
    await shows("n1 is provisioning");
    terminal.type("Ga");
    await shows("n4 approved");
    expect(fake.calls).toMatchObject([{ method: "approve", request: { name: "n4" } }]);
  });

  it("stops a deployment only after a yes", async () => {
    const { terminal, fake, shows } = await open();
    terminal.type("xn\r");
    await shows("nothing was done");
    expect(fake.calls).toEqual([]);
    terminal.type("xy\r");
    await shows("demo-1 stops");
    expect(fake.calls).toMatchObject([{ method: "stop", request: { name: "demo-1" } }]);
  });

  it("lets a held step go, and says why another cannot", async () => {
    const { terminal, fake, shows } = await open();
    terminal.type("3\rc");
    await shows("demo-1/n1/image is not held");
    fake.put({ case: "step", value: step("n2/image", Step_State.READY, { hold: true }) });
    await shows("held: c lets it go");
    terminal.type("jc");
    await shows("n1/seed may start");
    expect(fake.calls).toMatchObject([{ method: "go", request: { name: "demo-1", steps: ["n2/image"] } }]);
  });

  it("goes on with what was stopped, and tries again what has failed", async () => {
    const { terminal, fake, shows } = await open();
    const stopped = {
      ...fake.deployment("demo-1"),
      state: Deployment_State.STOPPED,
      reason: "by the operator",
    };
    fake.put({ case: "deployment", value: stopped });
    await shows("by the operator");
    terminal.type("r");
    await shows("demo-1 goes on: 1 step again");
    fake.put({ case: "step", value: step("n3/image", Step_State.SUCCEEDED) });
    await vi.waitFor(() => expect(fake.step("demo-1/n3/image").state).toBe(Step_State.SUCCEEDED));
    await shows("7/21");
    terminal.type("r");
    await shows("demo-1 goes on; failed steps stay failed");
    expect(fake.calls.map(({ method }) => method)).toEqual(["retry", "resume"]);
  });

  it("does not ask for agreement to a plan that does nothing", async () => {
    const same = { ...plan, steps: plan.steps.map((one) => ({ ...one, unchangedSince: "demo-1" })) };
    const { terminal, fake, shows } = await open({
      overrides: { deployments: { planCluster: async () => ({ plan: same }) } },
    });
    const ended = { ...fake.deployment("demo-1"), state: Deployment_State.SUCCEEDED, reason: "" };
    fake.put({ case: "deployment", value: ended });
    await shows("succeeded");
    terminal.type("D");
    await shows("nothing has changed in demo");
  });

  it("deploys only after the plan was shown and the cluster's name typed", async () => {
    const { terminal, fake, shows } = await open();
    fake.put({
      case: "deployment",
      value: { ...fake.deployment("demo-1"), state: 3, reason: "n3/image failed" },
    });
    await shows("failed  3 nodes");
    terminal.type("D");
    expect(await shows("Type demo to wipe")).toMatchSnapshot();
    terminal.type("dem\r");
    await shows("nothing was done");
    expect(fake.calls).toEqual([]);
    terminal.type("D");
    await shows("Type demo to wipe");
    terminal.type("demo\r");
    await shows("demo-1 started");
    expect(fake.calls).toMatchObject([{ method: "start", request: { cluster: "demo" } }]);
  });

  it("looks at what would change without asking, and shows it", async () => {
    const { terminal, fake, shows } = await open({
      overrides: { deployments: { planCluster: async () => ({ plan: taskPlan }) } },
    });
    fake.put({ case: "deployment", value: { ...fake.deployment("demo-1"), state: 3 } });
    await shows("failed  3 nodes");
    terminal.type("N");
    await shows("demo-1 looks at what would change");
    expect(fake.calls).toMatchObject([{ request: { cluster: "demo", purpose: Purpose.CHECK } }]);
    expect(await shows("Deployments › demo-1")).toContain("bootstrap");
  });

  it("says in the help why a key cannot be used, about the screen below", async () => {
    const { terminal, shows } = await open();
    terminal.type("2?G");
    expect(await shows("approve")).toContain("not here: n1 is provisioning");
  });

  it("quits by q and by Ctrl-C, in a question too", async () => {
    const { terminal, quit } = await open();
    terminal.type("q");
    await vi.waitFor(() => expect(quit).toHaveBeenCalledTimes(1));
    terminal.type("/\u0003");
    await vi.waitFor(() => expect(quit).toHaveBeenCalledTimes(2));
  });
});

describe("the terminal and the connection", () => {
  it("uses a larger terminal, and says that one is too small", async () => {
    const { terminal, shows } = await open({ columns: 120, rows: 40 });
    terminal.type("2");
    expect(await shows("10.77.0.11")).toContain("online");
    terminal.resize(79, 24);
    await shows("terminal too small: 79×24");
    terminal.resize(80, 24);
    await shows("STEP / REASON");
  });

  it("does not pass old data for new when the daemon is gone", async () => {
    const { fake, store, clock, shows } = await open();
    await fake[Symbol.asyncDispose]();
    await shows("not connected");
    clock.now += 30_000;
    const screen = await shows("shown as of 30s ago");
    // The deployment's clock stands still with it.
    expect(screen).toContain("2m05s");
    expect(isLive(store.getSnapshot(), clock.now)).toBe(false);
  });
});
