// The peer's protocol: what grpc-js carries with nothing of ours above it. A message is its first byte and padding.
import type { Identity } from "./link.ts";
import { Link } from "./link.ts";

export const rawPath = "/bench.Raw/Session";
export const kinds = { hello: 1, welcome: 2, heartbeat: 3, order: 4, done: 5 } as const;

/** About the size of what an agent and the daemon say to each other. */
export const frames = Object.fromEntries(
  Object.entries(kinds).map(([name, kind]) => [name, Buffer.concat([Buffer.from([kind]), Buffer.alloc(59)])]),
) as Record<keyof typeof kinds, Buffer>;

export const identity = (bytes: Buffer): Buffer => bytes;

export class RawAgent {
  readonly link: Link<Buffer, Buffer>;

  constructor(address: string, credentials: Identity) {
    this.link = new Link(address, credentials, {
      path: rawPath,
      encode: identity,
      decode: identity,
      first: () => [frames.hello],
      receive: (bytes) => {
        if (bytes[0] === kinds.order) this.link.send(frames.done);
        return bytes[0] === kinds.welcome;
      },
    });
  }

  heartbeat(): void {
    this.link.send(frames.heartbeat);
  }

  close(): void {
    this.link.close();
  }
}
