// Tickets: what opens the data plane to a node. The daemon issues them and the data plane checks them, with a key
// that both have, so neither keeps a list. They come as part of an address, so they are letters, digits, `-`, `_`
// and one dot, and never belong into a log.
import { createHmac, timingSafeEqual } from "node:crypto";

export type Ticket = {
  /** Hexadecimal digests of the manifests that it opens, with their chunks. */
  images: string[];
  node: string;
  /** The node's label `rack`; empty if it has none. */
  rack: string;
  expiryMs: number;
};

export function issueTicket(key: Uint8Array, { images, node, rack, expiryMs }: Ticket): string {
  const content = Buffer.from(JSON.stringify({ images, node, rack, expiryMs })).toString("base64url");
  return `${content}.${seal(key, content).toString("base64url")}`;
}

/** The ticket, or why it is none, in words that follow "the ticket". */
export function checkTicket(key: Uint8Array, text: string, nowMs: number): Ticket | string {
  const [content = "", given = "", ...rest] = text.split(".");
  const wanted = seal(key, content);
  const found = Buffer.from(given, "base64url");
  if (rest.length || found.length !== wanted.length || !timingSafeEqual(found, wanted)) {
    return "is not one of this daemon";
  }
  // Whoever has sealed it has also made it.
  const ticket: Ticket = JSON.parse(Buffer.from(content, "base64url").toString());
  return nowMs < ticket.expiryMs ? ticket : "has expired";
}

const seal = (key: Uint8Array, content: string): Buffer => createHmac("sha256", key).update(content).digest();
