// Asks one machine's QEMU one question over QMP.
import { connect } from "node:net";
import { createInterface } from "node:readline";

type Reply = { QMP?: unknown; return?: unknown; error?: { desc: string }; event?: string };

/** The value that the command returns. Throws if the machine does not answer within the time. */
export async function askQmp(socket: string, command: string, timeoutMs = 3_000): Promise<unknown> {
  const stream = connect(socket);
  stream.setTimeout(timeoutMs, () =>
    stream.destroy(new Error(`${socket} did not answer within ${timeoutMs} ms`)),
  );
  try {
    const failed = new Promise<never>((_, reject) => stream.on("error", reject));
    return await Promise.race([converse(stream, command), failed]);
  } finally {
    stream.destroy();
  }
}

async function converse(stream: ReturnType<typeof connect>, command: string): Promise<unknown> {
  const send = (execute: string) => stream.write(`${JSON.stringify({ execute })}\n`);
  let negotiated = false;
  for await (const line of createInterface({ input: stream })) {
    const reply = JSON.parse(line) as Reply;
    if (reply.QMP) send("qmp_capabilities");
    else if (reply.error) throw new Error(`${command}: ${reply.error.desc}`);
    else if ("return" in reply) {
      if (negotiated) return reply.return;
      negotiated = true;
      send(command);
    }
  }
  throw new Error(`${command}: QEMU closed the connection`);
}
