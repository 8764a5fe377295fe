// WatchService.

import { eventFields } from "../../proto/filter/fields.ts";
import { Step_State } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { EventSchema, WatchService } from "../../proto/gen/muster/v1/watch_pb.ts";
import type { Handlers } from "../../proto/rpc/server.ts";
import { isRunning } from "../domain/schedule.ts";
import type { State } from "../domain/state.ts";
import { type ApiContext, notFound } from "./context.ts";
import { pageOf } from "./pages.ts";

export function watchService({ engine, store, hub, logs }: ApiContext): Handlers<typeof WatchService> {
  return {
    watch: ({ startRevision, kinds }, { signal }) => hub.watch(startRevision, kinds, signal),
    tailLog: async function* ({ step: name, offset, follow }, { signal }) {
      const { step, number } = findAttempt(engine.state, name);
      // Without a number that is the last attempt, or the first one as soon as there is one.
      const token = `${step.name}/${number ?? Math.max(1, step.attempt)}`;
      const ended = () => {
        const now = engine.state.step(step.name);
        const deployment = engine.state.deployments.get(step.deployment);
        if (!now || !deployment || !isRunning(deployment)) return true;
        return now.token === token ? hasEnded(now.state) : now.attempt > 0;
      };
      yield* logs.read(token, offset, { follow, ended, signal });
    },
    listEvents: async (request) => {
      const { items, nextPageToken } = await pageOf(request, {
        method: WatchService.method.listEvents,
        schema: EventSchema,
        fields: eventFields,
        items: engine.state.events.toReversed(),
        key: ({ revision }) => `${revision}`.padStart(22, "0"),
        descending: true,
      });
      return { events: items, revision: store.revision, nextPageToken };
    },
  };
}

function hasEnded(state: Step_State): boolean {
  const { SUCCEEDED, FAILED, CANCELLED, SKIPPED } = Step_State;
  return [SUCCEEDED, FAILED, CANCELLED, SKIPPED].some((end) => end === state);
}

/** `DEPLOYMENT/NODE/TASK`, with `/NUMBER` for one attempt of it. */
function findAttempt(state: State, name: string) {
  const [first = "", node = "", task = "", number, ...rest] = name.split("/");
  const deployment = state.deployment(first);
  const step = deployment && state.step(`${deployment.name}/${node}/${task}`);
  if (!step || rest.length) throw notFound("step", name);
  if (number === undefined) return { step, number };
  const known = /^[1-9][0-9]{0,8}$/.test(number) && Number(number) <= step.attempt;
  if (!known) throw notFound("attempt", name);
  return { step, number: Number(number) };
}
