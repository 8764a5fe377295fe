// The first stage of both products: a Debian root file system as a tarball, made by mmdebstrap. It depends on
// nothing of Muster, so that a change of the agent never downloads packages again.
import { stat } from "node:fs/promises";
import { readSystemSources, sourcesForSuite } from "./apt-sources.ts";
import { bytes } from "./progress.ts";
import { stage, type Workshop } from "./stage.ts";
import { runTool } from "./tools.ts";

export type RootfsPlan = {
  label: string;
  suite: string;
  packages: string[];
  /** mmdebstrap's hook options. */
  hooks: string[];
};

const excluded = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*"];

/** Path of the tarball. */
export async function buildRootfs(shop: Workshop, plan: RootfsPlan): Promise<string> {
  const { label, suite, packages, hooks } = plan;
  const isRoot = process.getuid?.() === 0;
  const sources = sourcesForSuite(await readSystemSources(), suite);
  const options = [
    "--variant=minbase",
    "--format=tar",
    `--mode=${isRoot ? "root" : "unshare"}`,
    '--aptopt=APT::Install-Recommends "false"',
    ...excluded.map((path) => `--dpkgopt=path-exclude=${path}`),
    ...hooks,
    `--include=${packages.join(",")}`,
  ];
  return stage(shop, label, { options, sources, suite }, async (target) => {
    const args = [...options, ...(await proxyOptions()), suite, target, ...sources];
    // In a mount namespace of its own, so that not even a killed build leaves a mount behind.
    const bootstrap = isRoot
      ? () => runTool("unshare", ["--mount", "mmdebstrap", ...args], toolOptions(shop))
      : () => runTool("mmdebstrap", args, toolOptions(shop));
    const what = `mmdebstrap ${suite}, ${packages.length} packages, from ${mirrors(sources)}`;
    const make = async () => {
      await bootstrap();
      return (await stat(target)).size;
    };
    await shop.progress.run(label, what, make, (size) => bytes(size));
  });
}

function toolOptions(shop: Workshop) {
  return { signal: shop.signal, env: { TMPDIR: shop.scratch } };
}

/** mmdebstrap does not read the system's apt configuration, where a site's proxy may be set. */
async function proxyOptions(): Promise<string[]> {
  const dump = await runTool("apt-config", ["dump", "Acquire"]);
  const proxies = dump.split("\n").filter((line) => /^Acquire::https?::Proxy(::\S+)? ".+";$/i.test(line));
  return proxies.map((line) => `--aptopt=${line.slice(0, -1)}`);
}

function mirrors(sources: string[]): string {
  const hosts = sources.map((line) => /\s\w+:\/+([^/\s]*)/.exec(line)?.[1] ?? "");
  return [...new Set(hosts.filter(Boolean))].join(", ") || "this machine";
}
