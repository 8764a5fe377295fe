// A process that does nothing but change an image store, until it is killed: registers by copying, by moving,
// sweeps. Arguments: the store's directory, one for what is built, and how many rounds to skip. Says `round N`.
// What is built is whole but for a name that ends in `.part`.
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { blocks, writeBuiltImage } from "../../daemon/drivers/image-fixture.ts";
import { ImageStore } from "../../daemon/drivers/image-store.ts";

const [directory = "", built = "", begin = "0"] = process.argv.slice(2);
const store = new ImageStore(directory, () => new Uint8Array([1]));
const chunks = 40;

await store.removeLeftovers();
for (let round = Number(begin); ; round++) {
  // A third of every image is in all of them, a third in the one before it too.
  const contents = Array.from({ length: chunks }, (_, i) =>
    blocks(`${i % 3 === 0 ? "all" : i % 3 === 1 ? round >> 1 : round} ${i} `, 4),
  );
  const source = join(built, `${round}`);
  await writeBuiltImage(`${source}.part`, contents);
  await rename(`${source}.part`, source);
  process.stdout.write(`round ${round}\n`);
  const { digest } = await store.register(source, { move: round % 2 === 1 });
  if (round % 3 === 2) await store.sweep(await store.survey(new Set([digest])));
  await rename(source, `${source}.part`);
  await rm(`${source}.part`, { recursive: true });
}
