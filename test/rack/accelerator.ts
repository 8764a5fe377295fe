// Whether KVM really runs Linux here. A /dev/kvm that opens proves little: on some nested hosts firmware
// runs and a 64-bit kernel hangs. So a kernel is booted, and its own words decide.
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { labDirectory } from "./layout.ts";

export type Accelerator = { name: "kvm" | "tcg"; args: string[]; why: string };

const tcg = (why: string): Accelerator => ({
  name: "tcg",
  args: ["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "qemu64"],
  why,
});

const kvmModels = ["host", "host,-arch-capabilities"];
const probeMs = 8_000;
// Without a root file system a kernel that works ends here, well under a second after its first word.
const proof = "Kernel panic - not syncing: VFS";

/** Tries once per boot of this host and per kernel; after that the answer comes from a file. */
export async function chooseAccelerator(stateDir: string, signal: AbortSignal): Promise<Accelerator> {
  const kernel = findKernel(stateDir);
  if (!existsSync("/dev/kvm")) return tcg("this host has no /dev/kvm");
  if (!kernel) return tcg("there is no kernel to try KVM with");
  const cacheFile = path.join(labDirectory(stateDir), "accel");
  const key = probeKey(kernel);
  const cached = readCache(cacheFile);
  if (cached?.key === key) return cached.accelerator;
  const accelerator = await probe(kernel, signal);
  signal.throwIfAborted(); // a probe that was cut short proves nothing
  writeFileSync(cacheFile, JSON.stringify({ key, accelerator }, null, 1));
  return accelerator;
}

async function probe(kernel: string, signal: AbortSignal): Promise<Accelerator> {
  for (const model of kvmModels) {
    const args = ["-accel", "kvm", "-cpu", model];
    if (await boots(kernel, args, signal))
      return { name: "kvm", args, why: `a kernel booted with -cpu ${model}` };
  }
  return tcg(`KVM was tried: a Linux kernel did not boot within ${probeMs / 1000} s`);
}

function boots(kernel: string, args: string[], signal: AbortSignal): Promise<boolean> {
  const machine = ["-machine", "q35", "-m", "512", "-display", "none", "-nodefaults", "-no-user-config"];
  const boot = ["-kernel", kernel, "-append", "console=ttyS0 panic=-1", "-no-reboot", "-serial", "stdio"];
  return new Promise((resolve) => {
    const child = spawn("qemu-system-x86_64", [...args, ...machine, ...boot], {
      stdio: ["ignore", "pipe", "ignore"],
      timeout: probeMs,
      killSignal: "SIGKILL",
      signal,
    });
    let console = "";
    child.stdout.on("data", (bytes: Buffer) => {
      console += bytes.toString("latin1");
      if (console.includes(proof)) child.kill("SIGKILL");
    });
    child.on("error", () => resolve(false));
    child.on("close", () => resolve(console.includes(proof)));
  });
}

/** The one that the machines will boot; else any of this host's. */
function findKernel(stateDir: string): string | undefined {
  const own = path.join(stateDir, "boot", "vmlinuz");
  if (existsSync(own)) return own;
  if (!existsSync("/boot")) return undefined;
  const host = readdirSync("/boot").filter((name) => name.startsWith("vmlinuz"));
  return host.length ? path.join("/boot", host.sort().at(-1) ?? "") : undefined;
}

function probeKey(kernel: string): string {
  const { size, mtimeMs } = statSync(kernel);
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  return [kernel, size, mtimeMs, boot].join(" ");
}

function readCache(file: string): { key: string; accelerator: Accelerator } | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}
