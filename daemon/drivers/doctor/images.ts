// Check `images`: every chunk of every registered image is there with its size. Digests of a sample, or of all
// chunks when the check was asked for by name.
import { type Check, fault, ok, type Surroundings, type Verdict } from "./check.ts";

const sample = 64;
const named = 3;

export const images: Check = {
  name: "images",
  run: async (surroundings, thorough) => {
    const registered = surroundings.registered();
    if (!registered.length) return [ok("no image is registered")];
    const verdicts: Verdict[] = [];
    for (const image of registered) verdicts.push(await inspect(surroundings, image, thorough));
    return verdicts;
  },
};

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
