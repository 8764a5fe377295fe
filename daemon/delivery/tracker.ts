// The tracker of the images' torrents: who has, or fetches, an image right now. It is in memory only: peers say so
// again every ten seconds.
import { bencode } from "./bencode.ts";

const intervalSeconds = 10;
/** Three times unheard. */
const peerMs = 35_000;
const peersMax = 50;

export type Announcement = {
  /** The torrent's, in hexadecimal. */
  hash: string;
  /** IPv4. */
  address: string;
  port: number;
  stopped: boolean;
};

export class Tracker {
  /** By torrent, then by `ADDRESS:PORT`, the one heard of last at the end. */
  readonly #swarms = new Map<string, Map<string, number>>();
  readonly #clock: () => number;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** The answer, bencoded, with the others of the swarm. */
  announce({ hash, address, port, stopped }: Announcement): Buffer {
    const swarm = this.#swarms.get(hash) ?? new Map<string, number>();
    this.#swarms.set(hash, swarm);
    const self = `${address}:${port}`;
    swarm.delete(self);
    for (const [peer, heardMs] of swarm) {
      if (this.#clock() - heardMs > peerMs) swarm.delete(peer);
    }
    const others = [...swarm.keys()];
    if (!stopped) swarm.set(self, this.#clock());
    // Those heard of last are most likely still there, but everyone would get the same: any of them, then.
    const some = others.length > peersMax ? spread(others, peersMax) : others;
    return bencode({ interval: intervalSeconds, peers: Buffer.concat(some.map(compact)) });
  }
}

/** So many in a row, from a place that is another every time. */
function spread(peers: string[], count: number): string[] {
  const from = Math.floor(Math.random() * peers.length);
  return [...peers.slice(from), ...peers.slice(0, from)].slice(0, count);
}

function compact(peer: string): Buffer {
  const [address = "", port = ""] = peer.split(":");
  const bytes = Buffer.from([...address.split(".").map(Number), 0, 0]);
  bytes.writeUInt16BE(Number(port), 4);
  return bytes;
}
