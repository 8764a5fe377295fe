// What is on a machine's disk, and the journal that an agent keeps on it, or in the memory of the ramdisk.
import type { JournalDisk } from "../../node-agent/journal-files.ts";

/** Files by name. */
export type Files = Map<string, string>;

/** What a deployment leaves on the disk, step by step. */
export type Disk = {
  partitioned: boolean;
  imageDigest: string;
  /** The agent's identity as the seed step wrote it. */
  certificate: string;
  hostname: string;
  rootDevice: string;
  bootloader: boolean;
  journal: Files;
};

export function emptyDisk(): Disk {
  return {
    partitioned: false,
    imageDigest: "",
    certificate: "",
    hostname: "",
    rootDevice: "",
    bootloader: false,
    journal: new Map(),
  };
}

/** What may happen to one write: the process or the machine dies before, in or after it, or the disk is full. */
export type WriteFate = "good" | "full" | "dies before" | "dies after" | "torn";

/** The journal's files as one process sees them: one that is dead writes nothing. */
export function journalDisk(
  files: Files,
  process: { alive: boolean; fate(): WriteFate; dies(fate: WriteFate): void },
): JournalDisk {
  const die = (fate: WriteFate): never => {
    process.dies(fate);
    throw new Error("this process is dead");
  };
  const write = (name: string, before: string, line: string) => {
    if (!process.alive) throw new Error("this process is dead");
    const fate = process.fate();
    if (fate === "full") throw new Error("ENOSPC: no space left on device, write");
    if (fate === "dies before") die(fate);
    const text = `\n${line}\n`;
    files.set(name, before + (fate === "torn" ? text.slice(0, text.length / 2) : text));
    if (fate !== "good") die(fate);
  };
  return {
    place: "the simulated disk",
    list: () => [...files.keys()],
    read: (name) => files.get(name) ?? "",
    create: (name, line) => write(name, "", line),
    append: (name, line) => write(name, files.get(name) ?? "", line),
    replace: (name, line) => write(name, "", line),
    remove(name) {
      if (process.alive) files.delete(name);
    },
  };
}
