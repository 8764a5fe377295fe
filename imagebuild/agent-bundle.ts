// Bundles the agent into one file that runs with nothing but node beside it.
import { createHash } from "node:crypto";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";

export type AgentBundle = { code: Uint8Array; digest: string };

export const agentEntry = join(import.meta.dirname, "../node-agent/main.ts");

/** grpc-js is CommonJS and asks for these. */
const banner = [
  'import { createRequire as makeRequire } from "node:module";',
  "const require = makeRequire(import.meta.url);",
  "const __filename = import.meta.filename, __dirname = import.meta.dirname;",
].join("\n");

export async function bundleAgent(entry: string = agentEntry): Promise<AgentBundle> {
  await access(entry).catch(() => {
    throw new Error(`the agent's source ${entry} is missing; the checkout is incomplete`);
  });
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node26",
    minify: true,
    keepNames: true,
    legalComments: "none",
    banner: { js: banner },
    write: false,
    logLevel: "silent",
  });
  const code = outputFiles[0]?.contents;
  if (!code) throw new Error(`bundling ${entry} gave no file`);
  return { code, digest: createHash("sha256").update(code).digest("hex") };
}
