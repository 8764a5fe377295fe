// RunService: a command that an operator has many nodes run at once.
import { durationMs } from "@bufbuild/protobuf/wkt";
import { FilterError } from "../../proto/filter/filter-error.ts";
import { selectNodes } from "../../proto/filter/selector.ts";
import type { Node } from "../../proto/gen/muster/v1/node_pb.ts";
import type { RunService } from "../../proto/gen/muster/v1/run_pb.ts";
import { Event_Severity } from "../../proto/gen/muster/v1/watch_pb.ts";
import type { Handlers } from "../../proto/rpc/server.ts";
import { nodeFieldsOf } from "../domain/node-choice.ts";
import type { State } from "../domain/state.ts";
import { FleetRun } from "../engine/fleet-run.ts";
import { type ApiContext, byName, invalidField, refused } from "./context.ts";

const defaultTimeoutMs = 60_000;
/** What lasts longer is a service; and timers cannot wait much longer. */
const longestMs = 7 * 24 * 3_600_000;
const defaultOutput = 1n << 20n;
/** For each node: an agent holds little of it at once, but the caller has it all. */
const mostOutput = 1n << 30n;

export function runService({
  engine,
  sessions,
}: Pick<ApiContext, "engine" | "sessions">): Handlers<typeof RunService> {
  return {
    run: async function* ({ selectors, argv, batch, timeout, outputLimit, validateOnly }, { signal }) {
      const [program] = argv;
      if (!program) throw invalidField("INVALID_REQUEST", "argv[0]", "it is empty");
      if (outputLimit > mostOutput)
        throw invalidField("INVALID_REQUEST", "outputLimit", "it is more than 1 GiB");
      const timeoutMs = timeout ? durationMs(timeout) : defaultTimeoutMs;
      if (timeoutMs > longestMs) throw invalidField("INVALID_REQUEST", "timeout", "it is more than a week");
      const nodes = choose(engine.state, selectors).map(({ name }) => name);
      if (nodes.length === 0) {
        throw refused("NO_NODES", `no node is chosen by ${selectors.join(" and ")}`);
      }
      const [online = [], offline = []] = [true, false].map((isOnline) =>
        nodes.filter((name) => (sessions.greeted(name) !== undefined) === isOnline),
      );
      yield { message: { case: "chosen", value: { nodes, offline } } };
      if (validateOnly || online.length === 0) return;
      // Its arguments may hold what nobody else should read.
      const about = `\`${program}\` on ${online.length} node${online.length === 1 ? "" : "s"}, chosen by ${selectors.join(" and ")}`;
      await engine.decide((decision) => decision.event(Event_Severity.INFO, "run", "COMMAND", about));
      const run = new FleetRun(sessions, online, {
        argv,
        timeoutMs,
        outputLimit: outputLimit || defaultOutput,
        batch,
      });
      // Nothing else wakes what waits for the next answer.
      const stop = () => run.stop();
      signal.addEventListener("abort", stop);
      if (signal.aborted) return;
      try {
        yield* run.responses();
      } finally {
        signal.removeEventListener("abort", stop);
      }
    },
  };
}

function choose(state: State, selectors: string[]): Node[] {
  const nodes = byName(state.nodes.values());
  try {
    return selectNodes(selectors, nodes, nodeFieldsOf(state));
  } catch (error) {
    if (error instanceof FilterError) throw invalidField("INVALID_FILTER", "selectors", error.message);
    throw error;
  }
}
