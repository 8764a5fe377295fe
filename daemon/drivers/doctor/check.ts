// What the doctor's checks have in common: what they look at, and what they say. A check changes nothing.
import { ExamineResponse_Level as Level } from "../../../proto/gen/muster/v1/daemon_pb.ts";
import type { ImageStore } from "../image-store.ts";

/** What the daemon is and has. */
export type Surroundings = {
  stateDir: string;
  /** Of the daemon on the machines' network. */
  address: string;
  socketPath: string;
  ports: { http: number; enroll: number; agent: number; delivery: number; deliveryHttp: number };
  /** Set when the daemon answers DHCP and TFTP. */
  bootInterface: string | undefined;
  certificates: { name: string; pem: string }[];
  images: Pick<ImageStore, "inspect" | "signed" | "usage">;
  /** What is registered. */
  registered(): { name: string; digest: string }[];
  nodeCount(): number;
  now(): number;
};

export type Verdict = { level: Level; message: string; remedy: string };

export type Check = {
  name: string;
  /** `thorough`: it was asked for by name, and may take long. */
  run(surroundings: Surroundings, thorough: boolean): Promise<Verdict[]>;
};

export const ok = (message: string): Verdict => ({ level: Level.OK, message, remedy: "" });
export const skipped = (message: string, remedy = ""): Verdict => ({ level: Level.SKIPPED, message, remedy });
export const warning = (message: string, remedy: string): Verdict => ({
  level: Level.WARNING,
  message,
  remedy,
});
export const fault = (message: string, remedy: string): Verdict => ({ level: Level.ERROR, message, remedy });
