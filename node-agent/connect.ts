// Secure connections to the daemon.
import { checkServerIdentity } from "node:tls";
import { type ChannelOptions, credentials } from "@grpc/grpc-js";
import { Connection } from "../proto/rpc/client.ts";

/** Notices within 20 s that a silent daemon is gone. */
const keepalive: ChannelOptions = {
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.max_reconnect_backoff_ms": 5_000,
};

export type ClientCertificate = { privateKey: string; certificate: string };

/** The daemon's certificate must be from the CA and for `address` (host:port, where host may be an IP). */
export function connectSecurely(address: string, caPem: string, client?: ClientCertificate): Connection {
  const host = address.slice(0, address.lastIndexOf(":")).replace(/^\[|\]$/g, "");
  const secure = credentials.createSsl(
    Buffer.from(caPem),
    client ? Buffer.from(client.privateKey) : null,
    client ? Buffer.from(client.certificate) : null,
    { checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate) },
  );
  return new Connection(address, secure, keepalive);
}
