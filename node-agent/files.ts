// The files of steps: trees from the daemon by way of the cache, and what a fetch brings to the daemon. A daemon that
// is away for a moment fails no step.
import { createHash } from "node:crypto";
import { create, fromBinary } from "@bufbuild/protobuf";
import { pieceBytes } from "../proto/files/limits.ts";
import { packedTree, treeFault } from "../proto/files/tree.ts";
import type { AgentService } from "../proto/gen/muster/v1/agent_pb.ts";
import { TreeSchema } from "../proto/gen/muster/v1/files_pb.ts";
import type { ServiceClient } from "../proto/rpc/client.ts";
import type { Fetch, FileCache } from "./file-cache.ts";
import type { FileSource } from "./step.ts";
import { patienceMs, Tries } from "./tries.ts";

type FileClient = Pick<ServiceClient<typeof AgentService>, "getTree" | "getFile" | "putFetched">;

/** The source of an attempt, by its token. */
export function remoteFiles(
  client: FileClient,
  cache: FileCache,
  patience = patienceMs,
): (token: string) => FileSource {
  return (token) => ({
    async tree(digest, signal) {
      const pieces: Uint8Array[] = [];
      for await (const piece of cache.read(digest, treeFetch(client, token, digest, patience, signal)))
        pieces.push(piece);
      const tree = fromBinary(TreeSchema, Buffer.concat(pieces));
      const fault = treeFault(tree);
      if (fault) throw new Error(`the tree ${digest} cannot be used: ${fault}; apply the task again`);
      return tree;
    },
    read(tree, digest, signal) {
      return cache.read(digest, fileFetch(client, { token, tree, digest }, patience, signal));
    },
    async put(content, signal) {
      const hash = createHash("sha256");
      let size = 0;
      const send = async (piece: Buffer, digest = "") => {
        await untilAnswered(patience, signal, () =>
          client.putFetched({ token, offset: BigInt(size), content: piece, digest }, { signal }),
        );
        size += piece.length;
      };
      let waiting = Buffer.alloc(0);
      for await (const piece of content) {
        hash.update(piece);
        waiting = Buffer.concat([waiting, piece]);
        for (; waiting.length > pieceBytes; waiting = waiting.subarray(pieceBytes))
          await send(waiting.subarray(0, pieceBytes));
      }
      const digest = hash.digest("hex");
      await send(waiting, digest);
      return { size, digest };
    },
  });
}

/** A tree comes as a whole. */
function treeFetch(
  client: FileClient,
  token: string,
  digest: string,
  patience: number,
  signal: AbortSignal,
): Fetch {
  return async function* (offset) {
    const { tree } = await untilAnswered(patience, signal, () =>
      client.getTree({ token, digest }, { signal }),
    );
    yield packedTree(tree ?? create(TreeSchema)).content.subarray(offset);
  };
}

/** A file goes on where it broke off. */
function fileFetch(
  client: FileClient,
  request: { token: string; tree: string; digest: string },
  patience: number,
  signal: AbortSignal,
): Fetch {
  return async function* (start) {
    const tries = new Tries(patience, signal);
    for (let offset = start; ; ) {
      try {
        for await (const { content } of client.getFile({ ...request, offset: BigInt(offset) }, { signal })) {
          tries.succeeded();
          yield content;
          offset += content.length;
        }
        return;
      } catch (error) {
        await tries.failed(error);
      }
    }
  };
}

async function untilAnswered<T>(patience: number, signal: AbortSignal, call: () => Promise<T>): Promise<T> {
  for (const tries = new Tries(patience, signal); ; ) {
    try {
      return await call();
    } catch (error) {
      await tries.failed(error);
    }
  }
}
