// Chunks that something else has put into a directory.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { chunkFile } from "../../proto/image/layout.ts";
import { SourceFault } from "./faults.ts";
import { type Fetcher, type FetchRequest, roomIn, type Sink, type SourceAddress } from "./fetcher.ts";

export class DirectoryFetcher implements Fetcher {
  readonly #directory: string;

  constructor({ address }: SourceAddress) {
    this.#directory = address;
  }

  async fetch({ chunks }: FetchRequest, sink: Sink): Promise<void> {
    for (const chunk of chunks) {
      const stored = await readFile(join(this.#directory, chunkFile(chunk.name))).catch((error: Error) => {
        throw new SourceFault({ kind: "missing", message: error.message, chunk: chunk.index });
      });
      sink.take(chunk, stored, await roomIn(sink));
    }
  }

  close(): void {}
}
