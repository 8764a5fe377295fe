// What peers of a torrent ask over HTTP: `torrent/DIGEST.torrent` and `announce`, below `/t/TICKET/`.
import { isIPv4 } from "node:net";
import { codes, RpcError } from "../../proto/rpc/status.ts";
import { bencode } from "./bencode.ts";
import type { Gate } from "./gate.ts";
import type { OtherPaths } from "./http.ts";
import { type Torrents, torrentFile } from "./torrents.ts";
import type { Tracker } from "./tracker.ts";

export function swarmPaths(gate: Gate, torrents: Torrents, tracker: Tracker): OtherPaths {
  return async ({ ticket, rest, query }, request, response) => {
    const [, digest] = /^torrent\/([0-9a-f]{64})\.torrent$/.exec(rest) ?? [];
    if (digest !== undefined) {
      gate(ticket, digest);
      const torrent = await torrents.find(digest);
      const base = `http://${request.headers.host}/t/${ticket}/`;
      response.setHeader("content-type", "application/x-bittorrent");
      response.end(torrentFile(torrent, base));
      return true;
    }
    if (rest !== "announce") return false;
    const { images } = gate(ticket);
    const announcement = {
      hash: infoHash(query),
      address: (request.socket.remoteAddress ?? "").replace(/^::ffff:/, ""),
      port: Number(/(?:^|&)port=(\d{1,5})(?:&|$)/.exec(query)?.[1] ?? 0),
      stopped: /(?:^|&)event=stopped(?:&|$)/.test(query),
    };
    response.setHeader("content-type", "text/plain");
    const fault = await faultOf(announcement, images, torrents);
    response.end(fault ? bencode({ "failure reason": fault }) : tracker.announce(announcement));
    return true;
  };
}

async function faultOf(
  { hash, address, port }: { hash: string; address: string; port: number },
  images: string[],
  torrents: Torrents,
): Promise<string | undefined> {
  if (!isIPv4(address)) return "only peers with an IPv4 address are known here";
  if (port < 1 || port > 65_535) return "the announcement has no port";
  const [image] = images;
  if (image === undefined) throw new RpcError(codes.UNAUTHENTICATED, "the ticket is for no image");
  return (await torrents.find(image)).hash === hash ? undefined : "the ticket is for another torrent";
}

/** In hexadecimal. It is 20 bytes, each as it is or as %XX, and so no text. */
function infoHash(query: string): string {
  const [, text = ""] = /(?:^|&)info_hash=([^&]*)/.exec(query) ?? [];
  const bytes = text.replace(/%([0-9a-fA-F]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  return Buffer.from(bytes, "latin1").toString("hex");
}
