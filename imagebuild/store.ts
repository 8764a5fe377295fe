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

/** Registers an image that was just built, if there is a daemon. */
export async function offerImage(stateDirectory: string, directory: string, say: Say): Promise<void> {
  try {
    await registerImage(stateDirectory, directory, say);
  } catch (error) {
    if (!(error instanceof NoDaemonError)) throw error;
    say(
      `No daemon answers at ${socketPath(stateDirectory)}. Once it runs: muster image register ${directory}`,
    );
  }
}

export async function registerImage(stateDirectory: string, directory: string, say: Say): Promise<void> {
  const { image, changed } = await withImages(stateDirectory, (images) =>
    images.registerImage({ directory }, options),
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
  await access(join(directory, "manifest.binpb")).catch((cause: unknown) => {
    throw new RefusedError(
      `${directory} has no manifest.binpb; give the directory that \`muster image build\` wrote`,
      { cause },
    );
  });
  const { chunksRepaired } = await withImages(stateDirectory, (images) =>
    images.repairImage({ name, directory }, options),
  );
  say(`${name}: ${chunksRepaired} chunks repaired.`);
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
