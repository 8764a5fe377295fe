import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import {
  LocateImageResponseSchema,
  type ReportSourceRequest,
  ReportSourceResponseSchema,
} from "../proto/gen/muster/v1/agent_pb.ts";
import { ImageSource_Kind, ImageSourceSchema } from "../proto/gen/muster/v1/delivery_pb.ts";
import { Delivery } from "../proto/gen/muster/v1/manifest_pb.ts";
import { codes, RpcError } from "../proto/rpc/status.ts";
import { remoteImages } from "./images.ts";

const signal = new AbortController().signal;
const gone = new RpcError(codes.UNAVAILABLE, "the daemon goes away");

/** Fails so many times with the given error. */
function flakyDaemon(error: RpcError, failures: number) {
  const asked: unknown[] = [];
  const told: Partial<ReportSourceRequest>[] = [];
  return {
    asked,
    told,
    async locateImage(request: { digest?: string; delivery?: Delivery }) {
      asked.push(request);
      if (failures-- > 0) throw error;
      return create(LocateImageResponseSchema, { sources: [{ address: "a:1" }], formerDigests: ["f"] });
    },
    async reportSource(request: Partial<ReportSourceRequest>) {
      told.push(request);
      return create(ReportSourceResponseSchema, {});
    },
  };
}

it("asks again where an image is when the daemon was away", async () => {
  const daemon = flakyDaemon(gone, 2);
  const located = await remoteImages(daemon).locate("d", Delivery.HTTP, signal);
  expect(located).toMatchObject({ sources: [{ address: "a:1" }], formerDigests: ["f"] });
  expect(daemon.asked).toEqual(Array(3).fill({ digest: "d", delivery: Delivery.HTTP }));
});

it("gives up on errors that do not pass, and when the daemon stays away", async () => {
  const refused = new RpcError(codes.PERMISSION_DENIED, "the image is not for this node");
  await expect(remoteImages(flakyDaemon(refused, 1)).locate("d", Delivery.AUTO, signal)).rejects.toBe(
    refused,
  );
  await expect(remoteImages(flakyDaemon(gone, 9), -1).locate("d", Delivery.AUTO, signal)).rejects.toBe(gone);
});

it("tells of a source no more than the daemon takes", async () => {
  const daemon = flakyDaemon(gone, 0);
  const source = create(ImageSourceSchema, { kind: ImageSource_Kind.HTTP, mirror: "rack-1", address: "x" });
  await remoteImages(daemon).report("d", source, "y".repeat(5000));
  expect(daemon.told).toEqual([
    { kind: ImageSource_Kind.HTTP, mirror: "rack-1", digest: "d", fault: "y".repeat(2048) },
  ]);
});
