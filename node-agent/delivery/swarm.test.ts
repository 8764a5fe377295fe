// A torrent as a source, with a stand-in for aria2c.
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ImageSource, ImageSource_Kind } from "../../proto/gen/muster/v1/delivery_pb.ts";
import type { ImageManifest } from "../../proto/gen/muster/v1/image_pb.ts";
import { Verify } from "../../proto/gen/muster/v1/manifest_pb.ts";
import { chunkFile } from "../../proto/image/layout.ts";
import type { Runner } from "../runner.ts";
import { type Delivery, type DeliveryContext, deliver } from "./deliver.ts";
import { type CutImage, cutImage, Store } from "./testing/cut-image.ts";
import { TestSource } from "./testing/server.ts";

const MiB = 1 << 20;
let directory: string;
let path: string;
let store: Store;
let image: CutImage;
let source: TestSource;
let reports: string[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "swarm-"));
  path = join(directory, "disk");
  store = new Store();
  const blocks = Array.from({ length: 700 }, (_, block) => Buffer.alloc(4096, `block ${block}`));
  image = cutImage(Buffer.concat(blocks), { store, name: "swarming" });
  source = await new TestSource([image], store).open();
  reports = [];
});
afterEach(() => {
  source.close();
  rmSync(directory, { recursive: true });
});

function dirtyDisk(): void {
  writeFileSync(path, Buffer.alloc(4 * MiB, 0xaa));
}

function expectOnDisk(): void {
  expect(readFileSync(path).subarray(0, image.content.length).equals(image.content)).toBe(true);
}

function context(changes: Partial<DeliveryContext>): DeliveryContext {
  return {
    signal: new AbortController().signal,
    progress: () => {},
    report: async (from, fault) => void reports.push(`${from.mirror}: ${fault}`),
    log: () => {},
    ...changes,
  };
}

function order(sources: ImageSource[]): Delivery {
  const { manifest, digest } = image;
  return { path, manifest, digest, sources, formers: [], attempt: 1, verify: Verify.NONE };
}

const storedBytes = ({ chunks }: ImageManifest) => chunks.reduce((sum, one) => sum + one.storedBytes, 0);

describe("a torrent", () => {
  const torrent = () => ({
    ...source.http(),
    kind: ImageSource_Kind.TORRENT,
    address: "http://127.0.0.1:1/a",
  });

  /** In place of aria2c: puts the chunks where it should, and seeds until it is ended. */
  function aria(spoil: (stored: Buffer) => Buffer = (stored) => stored): { run: Runner; began: string[] } {
    const began: string[] = [];
    const run: Runner = async (argv, options) => {
      began.push(argv.join(" "));
      const to = argv[argv.indexOf("--dir") + 1] ?? "";
      if (argv.includes("--seed-ratio=0.0")) await once(options?.signal ?? new EventTarget(), "abort");
      else {
        for (const [name, stored] of store.stored) {
          mkdirSync(join(to, chunkFile(name), ".."), { recursive: true });
          writeFileSync(join(to, chunkFile(name)), spoil(stored));
        }
      }
      return { code: 0, stdout: "", stderr: "" };
    };
    return { run, began };
  }

  it("brings the chunks to where they are taken from, and is given to others meanwhile", async () => {
    dirtyDisk();
    const { run, began } = aria();
    const tally = await deliver(order([torrent(), source.grpc()]), context({ run }));
    expectOnDisk();
    expect(tally.moved).toBe(storedBytes(image.manifest));
    expect(source.sent).toEqual([]);
    expect(began).toHaveLength(2);
    expect(existsSync(join(tmpdir(), "muster-torrent", image.digest))).toBe(false);
  });

  it("that gives something else, or cannot be had, is passed over", async () => {
    dirtyDisk();
    const { run } = aria((stored) => Buffer.alloc(stored.length));
    await deliver(order([torrent(), source.grpc()]), context({ run }));
    expectOnDisk();
    expect(reports.length).toBeGreaterThan(0);
    const lines: string[] = [];
    const broken: Runner = () => Promise.reject(new Error("aria2c could not be started"));
    dirtyDisk();
    const log = (line: string) => lines.push(line);
    await deliver(order([torrent(), source.grpc()]), context({ run: broken, log }));
    expectOnDisk();
    expect(lines).toEqual(["not by BitTorrent: aria2c could not be started"]);
  });
});
