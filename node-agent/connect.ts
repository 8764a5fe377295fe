// Secure connections to the daemon.
import { readFileSync } from "node:fs";
import { checkServerIdentity, createSecureContext } from "node:tls";
import { type ChannelOptions, credentials } from "@grpc/grpc-js";
import { Connection } from "../proto/rpc/client.ts";

const channel: ChannelOptions = {
  // For calls beside the session, whose heartbeats find a silent daemon sooner. A daemon that is only slow has
  // the time to answer.
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 20_000,
  "grpc.max_reconnect_backoff_ms": 5_000,
  // The default window of 64 KiB is smaller than a chunk, and would have the sender wait for every one.
  "grpc-node.flow_control_window": 4 << 20,
};

export type ClientCertificate = { privateKey: string; certificate: string };

/** The daemon's certificate must be from the CA and for `address` (host:port, where host may be an IP). */
export function connectSecurely(address: string, caPem: string, client?: ClientCertificate): Connection {
  const host = address.slice(0, address.lastIndexOf(":")).replace(/^\[|\]$/g, "");
  const context = createSecureContext({
    ca: caPem,
    key: client?.privateKey,
    cert: client?.certificate,
    ciphers: hasAesInstructions() ? undefined : chacha,
  });
  const secure = credentials.createFromSecureContext(context, {
    checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
  });
  return new Connection(address, secure, channel);
}

/** Seven times as fast as AES where the processor does not help: old boards and emulated machines. */
const chacha = "TLS_CHACHA20_POLY1305_SHA256";

function hasAesInstructions(): boolean {
  return /^(flags|Features)\s*:.*\baes\b/m.test(readFileSync("/proc/cpuinfo", "utf8"));
}
