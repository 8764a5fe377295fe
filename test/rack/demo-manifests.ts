// The manifests of examples/first-light, with as many nodes in the cluster as the rack has machines.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { parseDocument } from "yaml";
import { repository } from "./muster.ts";

export const demoCluster = "demo";
export const demoDirectory = path.join(repository, "examples/first-light");

export type ManifestText = { path: string; content: string };

export function demoManifests(nodes: number): ManifestText[] {
  const names = readdirSync(demoDirectory).filter((name) => name.endsWith(".yaml"));
  return names.sort().map((name) => {
    const file = path.join(demoDirectory, name);
    const content = readFileSync(file, "utf8");
    return {
      path: path.relative(repository, file),
      content: name === "cluster.yaml" ? resize(content, nodes) : content,
    };
  });
}

/** Those of one node without the tasks, for scenarios of disks; with another scheme, if one is given. */
export function diskManifests(scheme?: string): ManifestText[] {
  return demoManifests(1)
    .filter(({ path: file }) => !file.endsWith("tasks.yaml"))
    .map((file) => (scheme && file.path.endsWith("scheme.yaml") ? { ...file, content: scheme } : file));
}

/** The first node is the controller, all others are computes. */
function resize(content: string, nodes: number): string {
  const document = parseDocument(content);
  const declared = document.toJS() as { nodes: unknown[] };
  if (declared.nodes.length === nodes) return content;
  const computes = Array.from({ length: nodes - 1 }, (_, i) => ({
    node: `n${i + 2}`,
    role: "compute",
    hostname: `cmp${i + 1}`,
  }));
  document.set("nodes", [{ node: "n1", role: "controller", hostname: "ctl1" }, ...computes]);
  return document.toString();
}
