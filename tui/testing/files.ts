// The FileService of a fake operator API: it takes everything, and has one fetched file.
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { packedTree } from "../../proto/files/tree.ts";
import { FetchedFileSchema, type FileService, TreeSchema } from "../../proto/gen/muster/v1/files_pb.ts";
import type { Handlers } from "../../proto/rpc/server.ts";

const content = Buffer.from("ring of three\n");
export const fetchedFile = create(FetchedFileSchema, {
  name: "n1/etc/ring",
  node: "n1",
  path: "/etc/ring",
  sizeBytes: BigInt(content.length),
  digest: "ab".repeat(32),
  time: timestampFromMs(Date.UTC(2026, 0, 1, 12)),
  step: "demo-1/n1/fetch-ring",
});

export const fakeFiles: Handlers<typeof FileService> = {
  findMissing: async ({ digests }) => ({ digests }),
  putFile: async () => ({}),
  putTree: async ({ tree }) => ({ digest: packedTree(tree ?? create(TreeSchema)).digest }),
  listFetchedFiles: async () => ({ files: [fetchedFile] }),
  readFetchedFile: async function* () {
    yield { content: content.subarray(0, 4) };
    yield { content: content.subarray(4) };
  },
};
