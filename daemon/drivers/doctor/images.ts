// Check `images`: every chunk of every registered image is there with its size. Digests of a sample, or of all
// chunks when the check was asked for by name. And whether the store's quota leaves room.
import { formatBytes } from "../../../proto/render/bytes.ts";
import { type Check, fault, ok, type Surroundings, type Verdict, warning } from "./check.ts";

const sample = 64;
const named = 3;
/** Of the quota, from which on another image may not fit. */
const nearlyFull = 0.9;

export const images: Check = {
  name: "images",
  run: async (surroundings, thorough) => {
    const registered = surroundings.registered();
    if (!registered.length) return [ok("no image is registered")];
    const verdicts: Verdict[] = [];
    for (const image of registered) verdicts.push(await inspect(surroundings, image, thorough));
    return [...verdicts, ...(await room(surroundings))];
  },
};

async function room({ images }: Surroundings): Promise<Verdict[]> {
  const { stored, quota } = await images.usage();
  if (!quota) return [];
  const text = `the image store holds ${formatBytes(stored)} of the ${formatBytes(quota)} that it may hold`;
  if (stored < quota * nearlyFull) return [ok(text)];
  return [warning(text, "muster image gc, or a larger --image-quota of the daemon")];
}

async function inspect(
  { images: store }: Surroundings,
  { name, digest }: { name: string; digest: string },
  thorough: boolean,
): Promise<Verdict> {
  const remedy = `muster image repair ${name}, from the directory that it was built into`;
  try {
    if (!(await store.signed(digest)))
      return fault(`image ${name}: its manifest or signature is missing`, `register it again`);
    const { chunks, read, bad } = await store.inspect(digest, thorough ? Number.POSITIVE_INFINITY : sample);
    const how = `${chunks} chunks are there, ${read} of them were read`;
    if (!bad.length) return ok(`image ${name}: ${how}`);
    const first = bad.slice(0, named).map((chunk) => chunk.slice(0, 12));
    const more = bad.length > named ? `, and ${bad.length - named} more` : "";
    return fault(
      `image ${name}: ${bad.length} of ${chunks} chunks are missing or damaged: ${first.join(", ")}${more}`,
      remedy,
    );
  } catch (error) {
    return fault(`image ${name}: ${error instanceof Error ? error.message : error}`, remedy);
  }
}
