// Where the agent finds its files, and which environment it is in. Everything else knows only this.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fromJsonString } from "@bufbuild/protobuf";
import packageJson from "../package.json" with { type: "json" };
import { type JoinBundle, JoinBundleSchema } from "../proto/gen/muster/v1/agent_pb.ts";
import { Environment } from "../proto/gen/muster/v1/node_pb.ts";

export type AgentConfig = {
  version: string;
  environment: Environment;
  joinFile: string;
  /** key.pem, cert.pem and, in the installed system, image-digest. */
  identityDir: string;
  journalDir: string;
  /** What steps have fetched from the daemon. */
  filesDir: string;
  /** Loop devices count as disks: for tests of the steps without spare disks. */
  includeLoop: boolean;
};

export type ConfigOptions = { root?: string; includeLoop?: boolean };

/** `root` is put before every path of the agent's own files; programs and the kernel are asked as they are. */
export function readConfig({ root = "/", includeLoop = false }: ConfigOptions = {}): AgentConfig {
  const bootstrap = existsSync(join(root, "etc/muster/bootstrap"));
  const stateDir = join(root, bootstrap ? "run/muster" : "var/lib/muster");
  return {
    version: packageJson.version,
    environment: bootstrap ? Environment.BOOTSTRAP : Environment.INSTALLED,
    joinFile: join(root, "etc/muster/join.json"),
    identityDir: join(stateDir, "agent"),
    journalDir: join(stateDir, "journal"),
    filesDir: join(stateDir, "files"),
    includeLoop,
  };
}

/** The join bundle and its text as it is in the file. */
export async function readJoinBundle(file: string): Promise<{ bundle: JoinBundle; text: string }> {
  const text = await readFile(file, "utf8").catch((cause: Error) => {
    throw new Error(
      `the join bundle ${file} cannot be read: ${cause.message}; boot this machine by the daemon`,
      {
        cause,
      },
    );
  });
  let bundle: JoinBundle;
  try {
    bundle = fromJsonString(JoinBundleSchema, text, { ignoreUnknownFields: true });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`the join bundle ${file} is no JoinBundle: ${why}; let the daemon make it anew`, {
      cause,
    });
  }
  const needed = ["enrollAddress", "agentAddress", "caCertificate"] as const;
  const missing = needed.filter((field) => !bundle[field]);
  if (missing.length) throw new Error(`the join bundle ${file} lacks ${missing.join(", ")}`);
  return { bundle, text };
}
