// A small image as the image builder leaves one: enough chunks that connections break in the middle of them.
import { writeBuiltImage } from "../../daemon/drivers/image-fixture.ts";

export const imageName = "tiny";
const chunkBytes = 64 << 10;
const chunkCount = 12;

export async function writeImage(directory: string): Promise<void> {
  const contents = Array.from({ length: chunkCount }, (_, index) => Buffer.alloc(chunkBytes, index + 1));
  await writeBuiltImage(directory, contents, { name: imageName });
}
