import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import {
  FetchChunksResponseSchema,
  GetImageManifestResponseSchema,
} from "../proto/gen/muster/v1/agent_pb.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";
import { remoteImages } from "./images.ts";

const signal = new AbortController().signal;
const gone = new RpcError(codes.UNAVAILABLE, "the daemon goes away");

/** Fails after every second chunk with the given error, `failures` times. */
function flakyDaemon(error: RpcError, failures: number) {
  const asked: number[][] = [];
  return {
    asked,
    async getImageManifest() {
      if (failures-- > 0) throw error;
      return create(GetImageManifestResponseSchema, { manifest: {} });
    },
    async *fetchChunks({ indexes = [] }: { indexes?: number[] }) {
      asked.push(indexes);
      for (const [position, index] of indexes.entries()) {
        if (position === 2 && failures-- > 0) throw error;
        yield create(FetchChunksResponseSchema, { index });
      }
    },
  };
}

async function indexesOf(daemon: ReturnType<typeof flakyDaemon>, patienceMs?: number) {
  const indexes: number[] = [];
  for await (const { index } of remoteImages(daemon, patienceMs).chunks("d", [4, 5, 6, 7, 8], signal)) {
    indexes.push(index);
  }
  return indexes;
}

it("asks again for the chunks that were not delivered when the daemon was away", async () => {
  const daemon = flakyDaemon(gone, 2);
  expect(await indexesOf(daemon)).toEqual([4, 5, 6, 7, 8]);
  expect(daemon.asked).toEqual([[4, 5, 6, 7, 8], [6, 7, 8], [8]]);
  await expect(remoteImages(flakyDaemon(gone, 1)).manifest("d", signal)).resolves.toBeDefined();
});

it("gives up on errors that do not pass, and when the daemon stays away", async () => {
  const lost = new RpcError(codes.DATA_LOSS, "chunk 6 is missing");
  await expect(indexesOf(flakyDaemon(lost, 1))).rejects.toBe(lost);
  await expect(indexesOf(flakyDaemon(gone, 1), -1)).rejects.toBe(gone);
});
