// A call whose request is bytes, whatever they are, and whose answer nobody looks into.
import type { DescMethod } from "@bufbuild/protobuf";
import {
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";

export type Outcome = { code: status; message: string };

/** What ends by itself has time to; what may go on for long is left. */
const answerMs = 20_000;
const listenMs = 400;
const same = (bytes: Buffer): Buffer => bytes;

/** How the call ended. A stream that is still open, or a call that still waits, at the end of the time is OK. */
export function rawCall(client: Client, method: DescMethod, request: Uint8Array): Promise<Outcome> {
  const path = `/${method.parent.typeName}/${method.name}`;
  const bytes = Buffer.from(request);
  const isOpen = method.methodKind !== "unary" || method.name === "WaitDeployment";
  // A request that is too large is refused, but takes its time to get there.
  const isShort = isOpen && bytes.length < 1 << 20;
  const options = { deadline: Date.now() + (isShort ? listenMs : answerMs) };
  return new Promise((resolve) => {
    const ok = () => resolve({ code: status.OK, message: "" });
    const failed = ({ code, details }: ServiceError) =>
      code === status.DEADLINE_EXCEEDED && isShort ? ok() : resolve({ code, message: details });
    if (method.methodKind === "unary") {
      client.makeUnaryRequest(path, same, same, bytes, new Metadata(), options, (error) =>
        error ? failed(error) : ok(),
      );
      return;
    }
    const follow = (call: ClientReadableStream<Buffer> | ClientDuplexStream<Buffer, Buffer>) => {
      call.on("error", failed);
      call.on("end", ok);
    };
    if (method.methodKind === "bidi_streaming") {
      // A session greets before it has read anything: what it answers is no sign that it has.
      const call = client.makeBidiStreamRequest(path, same, same, new Metadata(), options);
      follow(call.resume());
      call.end(bytes);
      return;
    }
    const call = client.makeServerStreamRequest(path, same, same, bytes, new Metadata(), options);
    follow(call);
    call.on("data", () => {
      ok();
      call.cancel();
    });
  });
}
