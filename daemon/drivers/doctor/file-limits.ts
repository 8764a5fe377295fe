// Check `file-limits`: every agent is a connection, and every connection an open file.
import { readFile } from "node:fs/promises";
import { type Check, fault, ok, skipped, warning } from "./check.ts";

/** The database, the listeners, the screens, and what is read for agents at the same time. */
const ownFiles = 512;
const filesPerNode = 2;

export const fileLimits: Check = {
  name: "file-limits",
  run: async ({ nodeCount }) => {
    const limits = await readFile("/proc/self/limits", "utf8").catch(() => "");
    const [, text = ""] = /^Max open files +(\d+|unlimited)/m.exec(limits) ?? [];
    if (!text) return [skipped("the limit of open files is not known: there is no /proc/self/limits")];
    const limit = text === "unlimited" ? Number.POSITIVE_INFINITY : Number(text);
    const nodes = nodeCount();
    const needed = ownFiles + filesPerNode * nodes;
    const message = `the daemon may open ${text} files, and needs up to ${needed} for ${nodes} nodes`;
    const remedy = `raise it where the daemon is started: ulimit -n ${needed * 2}, or LimitNOFILE=${needed * 2} of its systemd unit`;
    if (limit < filesPerNode * nodes) return [fault(message, remedy)];
    return [limit < needed ? warning(message, remedy) : ok(message)];
  },
};
