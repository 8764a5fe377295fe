// Times of steps as numbers.
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Step } from "../../proto/gen/muster/v1/deployment_pb.ts";

/** Undefined for a step that has not both started and ended. */
export function stepSeconds({ startTime, endTime }: Step): number | undefined {
  return startTime && endTime ? (timestampMs(endTime) - timestampMs(startTime)) / 1000 : undefined;
}
