// FileService: what is beside manifests comes in, and what tasks have fetched from nodes goes out.
import { fetchedFileFields } from "../../proto/filter/fields.ts";
import { FetchedFileSchema, FileService } from "../../proto/gen/muster/v1/files_pb.ts";
import type { Handlers } from "../../proto/rpc/server.ts";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { type ApiContext, byName, invalidField } from "./context.ts";
import { answering, answeringAll } from "./file-errors.ts";
import { pageOf } from "./pages.ts";

export function fileService({
  files,
  fetched,
}: Pick<ApiContext, "files" | "fetched">): Handlers<typeof FileService> {
  const { method } = FileService;
  return {
    findMissing: async ({ digests }) => ({ digests: await files.missing(digests) }),
    putFile: async ({ digest, offset, content, last }) => {
      await answering(files.put(digest, offset, content, last));
      return {};
    },
    putTree: async ({ tree }) => {
      if (!tree) throw invalidField("INVALID_REQUEST", "tree", "is missing");
      return { digest: await answering(files.putTree(tree)) };
    },
    listFetchedFiles: async (request) => {
      const { items, nextPageToken } = await pageOf(request, {
        method: method.listFetchedFiles,
        schema: FetchedFileSchema,
        fields: fetchedFileFields,
        items: byName(fetched.all()),
        key: ({ name }) => name,
      });
      return { files: items, nextPageToken };
    },
    readFetchedFile: async function* ({ name }) {
      const file = fetched.get(name);
      if (!file) {
        const message = `nothing called ${name} was fetched; \`muster files list\` lists what there is`;
        throw new RpcError(codes.NOT_FOUND, message, { reason: "NOT_FOUND", metadata: { name } });
      }
      for await (const content of answeringAll(files.read(file.digest))) yield { content };
    },
  };
}
