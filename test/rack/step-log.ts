// The whole log of a step, as far as it is written.
import type { Operator } from "./operator.ts";

/** `step`: DEPLOYMENT/NODE/TASK. */
export async function stepLog({ watch }: Operator, step: string): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const { content } of watch.tailLog({ step })) pieces.push(Buffer.from(content));
  return Buffer.concat(pieces).toString();
}
