// A machine's QMP socket without a QEMU behind it: as much of the protocol as the daemon's real driver speaks.
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { createInterface } from "node:readline";

export type QmpStatus = "running" | "paused" | "prelaunch";

/** What the socket switches. */
export type QmpMachine = {
  readonly status: QmpStatus;
  stop(): void;
  cont(): void;
  reset(): void;
  /** The boot index of each device. */
  readonly bootIndexes: Map<string, number>;
};

export async function serveQmp(path: string, machine: QmpMachine): Promise<Server> {
  const server = createServer((socket) => {
    const answer = (message: unknown) => socket.write(`${JSON.stringify(message)}\n`);
    const lines = createInterface({ input: socket }).on("line", (line) => answer(execute(machine, line)));
    // The daemon is killed in the middle of a conversation; readline repeats what its socket says.
    for (const source of [socket, lines]) source.on("error", () => {});
    answer({ QMP: { version: {}, capabilities: [] } });
  });
  server.listen(path);
  await once(server, "listening");
  return server;
}

type Command = { execute: string; arguments?: { path?: string; value?: number } };

function execute(machine: QmpMachine, line: string): unknown {
  const command = JSON.parse(line) as Command;
  const device = command.arguments?.path?.split("/").at(-1) ?? "";
  switch (command.execute) {
    case "qmp_capabilities":
      return { return: {} };
    case "query-status":
      return { return: { status: machine.status } };
    case "stop":
      machine.stop();
      return { return: {} };
    case "cont":
      machine.cont();
      return { return: {} };
    case "system_reset":
      machine.reset();
      return { return: {} };
    case "qom-list":
      return { return: [...machine.bootIndexes.keys()].map((name) => ({ name })) };
    case "qom-get":
      return { return: machine.bootIndexes.get(device) ?? -1 };
    case "qom-set":
      machine.bootIndexes.set(device, command.arguments?.value ?? -1);
      return { return: {} };
    default:
      return { error: { class: "CommandNotFound", desc: `there is no ${command.execute} here` } };
  }
}
