// A lane's thread, seen from inside.
import { parentPort, workerData } from "node:worker_threads";
import { Lane } from "./lane.ts";
import type { LaneAnswer, LaneOrder, LaneSetup } from "./lane-protocol.ts";

export function startLane(): void {
  const port = parentPort;
  if (!port) throw new Error("this is the program of a thread");
  const lane = new Lane(workerData as LaneSetup, (answer: LaneAnswer) => port.postMessage(answer));
  port.on("message", (order: LaneOrder) => void lane.obey(order));
}
