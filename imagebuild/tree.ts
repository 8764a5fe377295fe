// A tar as an image: cut as it comes, and listed by tar meanwhile, which also notices when it is damaged.
import { once } from "node:events";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import type { Content } from "./content.ts";
import { type Facts, inspectTree } from "./inspect.ts";
import { type Part, streamParts } from "./parts.ts";
import { streamTool } from "./tools.ts";

type Tree = {
  parts: AsyncIterable<Part>;
  size: () => number;
  /** Once all parts have been taken. Throws if it is no good tar. */
  facts: () => Promise<Facts>;
};

export function treeSource(
  { stream, finished }: Extract<Content, { form: "tar" }>,
  signal: AbortSignal,
): Tree {
  const copy = new PassThrough();
  const tar = streamTool("tar", ["--list", "--file", "-"], copy, { signal });
  let ended = false;
  const listed = tar.finished.finally(() => {
    ended = true;
  });
  const names: string[] = [];
  const reading = (async () => {
    for await (const line of createInterface({ input: tar.output })) {
      if (/\b(boot|grub)\//.test(line)) names.push(line);
    }
    await listed;
  })();
  reading.catch(() => {});
  let size = 0;
  async function* both() {
    for await (const bytes of stream) {
      size += bytes.length;
      yield bytes;
      // A tar that has died takes nothing any more.
      if (!ended && !copy.write(bytes)) await Promise.race([once(copy, "drain"), listed.catch(() => {})]);
    }
    copy.end();
  }
  return {
    parts: streamParts(both()),
    size: () => size,
    facts: async () => {
      await finished;
      await reading;
      return inspectTree(names);
    },
  };
}
