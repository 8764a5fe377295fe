// What an erase will do to a node's disks, which of them it leaves, and the proof of what it did, as lines. Pure.
import type { LeftDisk } from "../proto/gen/muster/v1/deployment_pb.ts";
import { type DiskErasure, EraseMode, DiskErasure_Proof as Proof } from "../proto/gen/muster/v1/erase_pb.ts";
import { clean, durationMs, formatBytes, formatDuration } from "./format.ts";
import { table } from "./text-table.ts";

/** What becomes of the disks of a release, in short. */
export function eraseWords(mode: EraseMode): string {
  return mode === EraseMode.FULL
    ? "full: every sector"
    : "metadata: tables, signatures and both ends; other data stays on the medium";
}

/** "disk serial S3 QEMU DISK, 20 GiB, now vdc: skipped, as you asked" */
export function leftLine({ name, serial, wwn, model, sizeBytes, reason }: LeftDisk): string {
  const id = serial ? `serial ${clean(serial)}` : wwn ? `wwn ${clean(wwn)}` : "without a serial";
  const facts = [`disk ${[id, clean(model)].filter(Boolean).join(" ")}`, formatBytes(sizeBytes)];
  return `${[...facts, name ? `now ${name}` : ""].filter(Boolean).join(", ")}: ${clean(reason)}`;
}

type Erased = { step: string; erasures: DiskErasure[] };

/** One line per disk that the steps have erased or should have; nothing if there are none. */
export function erasureLines(steps: Erased[]): string[] {
  const rows = steps.flatMap(({ step, erasures }) =>
    erasures.map((erasure) => [
      step,
      clean(erasure.name),
      clean(erasure.serial || erasure.wwn),
      erasure.mode === EraseMode.FULL ? "full" : "metadata",
      clean(erasure.method),
      `${formatBytes(erasure.erasedBytes)} of ${formatBytes(erasure.sizeBytes)}`,
      erasure.duration ? formatDuration(durationMs(erasure.duration)) : "",
      proofWords(erasure),
    ]),
  );
  const header = ["ERASED BY", "DISK", "SERIAL", "MODE", "METHOD", "ERASED", "TOOK", "PROOF"];
  return rows.length ? table(header, rows) : [];
}

function proofWords({ proof, fault, readBytes, readPlaces, sizeBytes }: DiskErasure): string {
  if (fault || proof === Proof.UNSPECIFIED) return `not erased: ${clean(fault) || "nothing was read back"}`;
  if (proof === Proof.CHANGED && readPlaces === 0) return "it held nothing before that could be compared";
  const what = readBytes >= sizeBytes ? "all of it" : `${formatBytes(readBytes)} in ${readPlaces} places`;
  return `no signatures; ${what} read back ${proof === Proof.CHANGED ? "changed" : "as zeros"}`;
}
