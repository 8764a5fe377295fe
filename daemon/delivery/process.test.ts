// The data plane as a process: what it does when it dies, when its daemon does, and when it cannot start.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { getPriority } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, it, vi } from "vitest";
import { chunkFile } from "../../proto/image/layout.ts";
import { startTestPlane, type TestPlane } from "./testing/plane.ts";
import { storeImage } from "./testing/store.ts";

let plane: TestPlane | undefined;
afterEach(async () => {
  await plane?.[Symbol.asyncDispose]();
  plane = undefined;
});

it("is started again when it is killed, and tickets from before still open it", async () => {
  plane = await startTestPlane();
  const image = await storeImage(plane.directory, 4);
  const { ticket } = plane.plane.admit({ images: [image.digest], node: "n1", rack: "" });
  const before = plane.pid();
  process.kill(before, "SIGKILL");
  await vi.waitFor(() =>
    expect(plane?.log.join("")).toContain("the image data plane ended (signal SIGKILL)"),
  );
  await vi.waitFor(
    async () => {
      using client = plane?.client([image.digest]);
      expect(await client?.chunks(image.digest, [0, 1, 2, 3])).toHaveLength(4);
    },
    { timeout: 10_000, interval: 200 },
  );
  expect(plane.pid()).not.toBe(before);
  const origin = new URL(plane.base([])).origin;
  const [first] = image.chunks;
  expect((await fetch(`${origin}/t/${ticket}/${chunkFile(first?.name ?? "")}`)).status).toBe(200);
});

it("lets the daemon go first where there is not processor enough", async () => {
  plane = await startTestPlane();
  expect(getPriority(plane.pid())).toBe(5);
});

it("says what it has served", async () => {
  plane = await startTestPlane();
  const image = await storeImage(plane.directory, 3);
  using client = plane.client([image.digest]);
  await client.chunks(image.digest, [0, 1]);
  await vi.waitFor(
    () => expect(plane?.plane.served).toEqual({ bytes: 2 * (64 << 10), streams: 0, stalled: 0 }),
    { timeout: 10_000 },
  );
});

it("ends with its daemon, however that ends", async () => {
  const options = {
    directory: "/none",
    address: "127.0.0.1",
    grpcPort: 0,
    httpPort: 0,
    ticketKey: "",
    limits: {},
    stallMs: 1,
  };
  const script = `
    const { startDataPlane } = await import(${JSON.stringify(new URL("data-plane.ts", import.meta.url).href)});
    const quiet = { warn() {}, error() {}, debug() {} };
    const plane = await startDataPlane(${JSON.stringify(options)}, quiet);
    console.log(plane.admit({ images: [], node: "", rack: "" }).grpcAddress);
  `;
  const parent = spawn(process.execPath, ["--input-type=module", "-e", script]);
  const [line] = await once(parent.stdout, "data");
  const child = Number((await readFile(`/proc/${parent.pid}/task/${parent.pid}/children`, "utf8")).trim());
  expect(`${line}`).toMatch(/^127\.0\.0\.1:\d+/);
  expect(child).toBeGreaterThan(0);
  parent.kill("SIGKILL");
  await vi.waitFor(() => expect(() => process.kill(child, 0)).toThrow("ESRCH"), { timeout: 5_000 });
});

it("that cannot have its port says so, with the remedy, and waits a moment for one that is about to end", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  await expect(startTestPlane({ grpcPort: port })).rejects.toThrow(
    `the image data plane does not start: cannot listen on 127.0.0.1:${port}: the port is taken; stop what listens there, or choose another --delivery-port`,
  );
  const starting = startTestPlane({ httpPort: port });
  await delay(1_500);
  taken.close();
  plane = await starting;
  expect(plane.base([])).toContain(`:${port}/`);
});

it("keeps each node to its rate, by gRPC and HTTP together", async () => {
  const [chunks, chunkBytes] = [24, 64 << 10];
  plane = await startTestPlane({ limits: { node: 1 << 20 } });
  const image = await storeImage(plane.directory, chunks, chunkBytes);
  const begin = performance.now();
  using mine = plane.client([image.digest], { node: "n1" });
  using other = plane.client([image.digest], { node: "n2" });
  const half = [...Array(chunks / 2).keys()];
  const base = plane.base([image.digest]);
  const byHttp = Promise.all(
    image.chunks.slice(chunks / 2).map(async ({ name }) => (await fetch(base + chunkFile(name))).bytes()),
  );
  const [found, , rest] = await Promise.all([
    mine.chunks(image.digest, half),
    byHttp,
    other.chunks(image.digest, half).then((all) => ({ all, ms: performance.now() - begin })),
  ]);
  const seconds = (performance.now() - begin) / 1000;
  expect(found).toHaveLength(chunks / 2);
  // 1.5 MiB for n1 at 1 MiB/s; n2 wanted half of that.
  expect(seconds).toBeGreaterThan(1.2);
  expect(seconds).toBeLessThan(4);
  expect(rest.all).toHaveLength(chunks / 2);
  expect(rest.ms).toBeLessThan(1_200);
});
