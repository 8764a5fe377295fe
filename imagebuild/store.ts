// The verbs that the daemon carries out on its image store.
import { access } from "node:fs/promises";
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { ImageService } from "../proto/gen/muster/v1/image_pb.ts";
import { Connection, type ServiceClient } from "../proto/rpc/client.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";
import { NoDaemonError, RefusedError } from "./errors.ts";
import { bytes } from "./progress.ts";

type Say = (line: string) => void;
type Images = ServiceClient<typeof ImageService>;

/** The daemon reads and digests every chunk. */
const options = { timeoutMs: 10 * 60_000 };

/** Registers an image that was just built, if there is a daemon. True if it has been. */
export async function offerImage(
  stateDirectory: string,
  directory: string,
  say: Say,
  move = false,
): Promise<boolean> {
  try {
    await registerImage(stateDirectory, directory, say, move);
    return true;
  } catch (error) {
    if (!(error instanceof NoDaemonError)) throw error;
    say(
      `No daemon answers at ${socketPath(stateDirectory)}. Once it runs: muster image register ${directory}`,
    );
    return false;
  }
}

/** `move`: the directory's chunks go into the store, and are not copied. */
export async function registerImage(
  stateDirectory: string,
  directory: string,
  say: Say,
  move = false,
): Promise<void> {
  const { image, changed } = await withImages(stateDirectory, (images) =>
    images.registerImage({ directory, move }, options),
  );
  const what = `${image?.name} ${image?.digest.slice(0, 12)}, ${image?.chunkCount} chunks`;
  say(
    `${changed ? "Registered" : "Already registered"}: ${what}, ${bytes(Number(image?.storedBytes ?? 0))} stored.`,
  );
}

/** False if there are bad chunks. */
export async function verifyImage(stateDirectory: string, name: string, say: Say): Promise<boolean> {
  const { chunksChecked, badChunks } = await withImages(stateDirectory, (images) =>
    images.verifyImage({ name }, options),
  );
  for (const { offset, expectedDigest, foundDigest } of badChunks) {
    say(
      `chunk at ${offset}: expected ${expectedDigest}, ${foundDigest ? `found ${foundDigest}` : "missing"}`,
    );
  }
  say(`${name}: ${chunksChecked} chunks checked, ${badChunks.length} bad.`);
  return badChunks.length === 0;
}

export async function repairImage(
  stateDirectory: string,
  name: string,
  directory: string,
  say: Say,
): Promise<void> {
  // Otherwise a wrong directory would only be noticed on the day that a chunk is bad.
  await Promise.any(["manifest.binpb", "manifests"].map((name) => access(join(directory, name)))).catch(
    (cause: unknown) => {
      throw new RefusedError(
        `${directory} has neither manifest.binpb nor manifests; give the directory that \`muster image build\` wrote, ` +
          "or a mirror's",
        { cause },
      );
    },
  );
  const { chunksRepaired } = await withImages(stateDirectory, (images) =>
    images.repairImage({ name, directory }, options),
  );
  say(`${name}: ${chunksRepaired} chunks repaired.`);
}

/** The image's digest (hexadecimal), by its name or digest. */
export async function imageDigest(stateDirectory: string, name: string): Promise<string> {
  const { image } = await withImages(stateDirectory, (images) => images.getImage({ name }, options));
  return image?.digest ?? "";
}

export async function deleteImage(stateDirectory: string, name: string, say: Say): Promise<void> {
  await withImages(stateDirectory, (images) => images.deleteImage({ name }, options));
  say(`${name} is deleted; \`muster image gc\` frees its room.`);
}

export async function collectImages(
  stateDirectory: string,
  { dryRun, keep }: { dryRun: boolean; keep?: number },
  say: Say,
): Promise<void> {
  const request = { validateOnly: dryRun, ...(keep !== undefined && { keep }) };
  const answer = await withImages(stateDirectory, (images) => images.collectImages(request, options));
  const what = `${answer.manifests.length} manifests and ${answer.chunks} chunks, ${bytes(Number(answer.bytes))}`;
  const quota = answer.quotaBytes > 0n ? ` of ${bytes(Number(answer.quotaBytes))}` : "";
  for (const digest of answer.manifests) say(`${dryRun ? "would remove" : "removed"} ${digest}`);
  say(
    `${dryRun ? "Would remove" : "Removed"} ${what}. The store holds ${bytes(Number(answer.storedBytes))}${quota}.`,
  );
}

async function withImages<T>(stateDirectory: string, call: (images: Images) => Promise<T>): Promise<T> {
  const socket = socketPath(stateDirectory);
  const absent = (cause: unknown) =>
    new NoDaemonError(
      `no daemon answers at ${socket}; start it with \`muster daemon --state-dir ${stateDirectory}\``,
      { cause },
    );
  await access(socket).catch((error: unknown) => {
    throw absent(error);
  });
  using connection = new Connection(`unix:${socket}`, credentials.createInsecure());
  try {
    return await call(connection.client(ImageService));
  } catch (error) {
    // A socket file may outlive its daemon.
    if (error instanceof RpcError && error.code === codes.UNAVAILABLE) throw absent(error);
    throw error;
  }
}

function socketPath(stateDirectory: string): string {
  return join(stateDirectory, "muster.sock");
}
