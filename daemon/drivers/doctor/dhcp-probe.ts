// A DHCP client that only asks who is there: sends one DHCPDISCOVER from an address, and reads the offers that come.
import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

export type DhcpOffer = { server: string; offered: string };

const clientPort = 68;
const serverPort = 67;
const cookie = 0x63825363;
/** Locally administered; no machine has it. */
const mac = Buffer.from("026d75737472", "hex");

/** All offers within the time, one for each server. `address`: of this machine on the network that is asked. */
export async function dhcpOffers(address: string, waitMs: number): Promise<DhcpOffer[]> {
  const transaction = randomBytes(4);
  const found = new Map<string, DhcpOffer>();
  const hear = (message: Buffer) => {
    const offer = parseOffer(message, transaction);
    if (offer) found.set(offer.server, offer);
  };
  // Offers are broadcast, which a socket bound to the address does not hear; but only that one sends on its link.
  await using sender = await open(address, hear);
  await using _listener = await open("0.0.0.0", hear);
  const discover = discoverMessage(transaction);
  for (const at of [0, 1]) {
    // One packet may be lost.
    if (at > 0) await delay(waitMs / 3);
    await send(sender.socket, discover);
  }
  await delay((waitMs * 2) / 3);
  return [...found.values()];
}

type OpenSocket = AsyncDisposable & { socket: Socket };

async function open(address: string, hear: (message: Buffer) => void): Promise<OpenSocket> {
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  socket.on("message", hear);
  try {
    socket.bind(clientPort, address);
    await once(socket, "listening");
  } catch (cause) {
    socket.close();
    throw new Error(`cannot listen on UDP port ${clientPort} of ${address}: ${(cause as Error).message}`, {
      cause,
    });
  }
  socket.setBroadcast(true);
  // A packet that cannot be sent is reported by send().
  socket.on("error", () => {});
  return { socket, [Symbol.asyncDispose]: () => new Promise((closed) => socket.close(() => closed())) };
}

function send(socket: Socket, message: Buffer): Promise<void> {
  return new Promise((sent, reject) =>
    socket.send(message, serverPort, "255.255.255.255", (error) => (error ? reject(error) : sent())),
  );
}

/** RFC 2131: BOOTP header, cookie, then options. The broadcast flag has the answer sent to everybody. */
export function discoverMessage(transaction: Buffer): Buffer {
  const header = Buffer.alloc(240);
  header.set([1, 1, mac.length, 0]);
  transaction.copy(header, 4);
  header.writeUInt16BE(0x8000, 10);
  mac.copy(header, 28);
  header.writeUInt32BE(cookie, 236);
  const options = [53, 1, 1, 55, 3, 1, 3, 54, 255];
  return Buffer.concat([header, Buffer.from(options), Buffer.alloc(60)]);
}

/** Undefined if it is no offer that answers this transaction. */
export function parseOffer(message: Buffer, transaction: Buffer): DhcpOffer | undefined {
  const answers = message.length > 240 && message[0] === 2 && message.readUInt32BE(236) === cookie;
  if (!answers || !message.subarray(4, 8).equals(transaction)) return undefined;
  const options = optionsOf(message.subarray(240));
  if (options.get(53)?.[0] !== 2) return undefined;
  const server = options.get(54);
  return server?.length === 4
    ? { server: server.join("."), offered: message.subarray(16, 20).join(".") }
    : undefined;
}

function optionsOf(bytes: Buffer): Map<number, Buffer> {
  const options = new Map<number, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const code = bytes[at] ?? 255;
    if (code === 255) break;
    const length = code === 0 ? -1 : (bytes[at + 1] ?? 0);
    if (code !== 0) options.set(code, bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return options;
}
