// WatchService.
import { Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { WatchService } from "../../proto/gen/muster/v1/watch_pb.ts";
import type { Handlers } from "../../proto/rpc/server.ts";
import type { State } from "../domain/state.ts";
import { type ApiContext, notFound } from "./context.ts";

export function watchService({ engine, hub, logs }: ApiContext): Handlers<typeof WatchService> {
  return {
    watch: ({ startRevision }, { signal }) => hub.watch(startRevision, signal),
    tailLog: async function* ({ step: name, offset, follow }, { signal }) {
      const step = findStep(engine.state, name);
      // Pending: the last attempt's log, or the first one's as soon as there is one.
      const token = step.token || `${step.name}/1`;
      const ended = () => {
        const now = engine.state.step(step.name);
        return now?.token !== token ? (now?.attempt ?? 0) > 0 : hasEnded(now.state);
      };
      yield* logs.read(token, offset, { follow, ended, signal });
    },
  };
}

function hasEnded(state: Step_State): boolean {
  return [Step_State.SUCCEEDED, Step_State.FAILED, Step_State.CANCELLED].some((end) => end === state);
}

function findStep(state: State, name: string) {
  const slash = name.indexOf("/");
  const deployment = state.deployment(name.slice(0, slash));
  const step = deployment && state.step(`${deployment.name}${name.slice(slash)}`);
  if (!step) throw notFound("step", name);
  return step;
}
