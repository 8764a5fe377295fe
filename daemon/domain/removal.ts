// What may be deleted: nothing that something else refers to, nothing that a deployment works on.
import type { Manifest } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { GraphSpec, TaskSpec } from "../../proto/gen/muster/v1/task_pb.ts";
import { deploymentsOf } from "./image-needs.ts";
import { isBusy } from "./node.ts";
import { isRunning } from "./schedule.ts";
import { deploymentsNeeding } from "./secret-use.ts";
import type { State } from "./state.ts";
import { TaskWords } from "./task-words.ts";

/**
 * What keeps a resource from being deleted, such as `cluster/demo`; empty if nothing does.
 * `name`: `node/n1`, `cluster/demo`, `role/compute`, `scheme/raid1`, `task/ntp`, `graph/verify`, `image/debian-12`, `secret/disks`.
 */
export function usersOf(state: State, name: string): string[] {
  const slash = name.indexOf("/");
  const [kind, rest] = [name.slice(0, slash), name.slice(slash + 1)];
  const clusters = [...state.clusters.values()];
  const running = [...state.deployments.values()].filter(isRunning);
  const documents = [...state.documents.values()].flatMap(({ name, manifest }) =>
    manifest ? [{ name, kind: manifest.kind }] : [],
  );
  switch (kind) {
    case "node": {
      const naming = clusters.filter(({ spec }) => spec?.nodes.some(({ node }) => node === rest));
      const busy = isBusy(state.nodes.get(rest)?.state ?? 0);
      const working = busy ? running.filter(({ plan }) => plan?.nodes.some(({ node }) => node === rest)) : [];
      return [
        ...naming.map(({ name }) => `cluster/${name}`),
        ...working.map(({ name }) => `deployment/${name}`),
      ];
    }
    case "cluster":
      return running.filter(({ cluster }) => cluster === rest).map(({ name }) => `deployment/${name}`);
    case "role": {
      const naming = clusters.filter(({ spec }) =>
        [...(spec?.nodes ?? []), ...(spec?.wants ?? [])].some(({ role }) => role === rest),
      );
      const others = documents.filter(
        ({ kind }) =>
          (kind.case === "task" && rolesOf(kind.value).includes(rest)) ||
          (kind.case === "role" && kind.value.name !== rest && kind.value.conflicts.includes(rest)),
      );
      return [...naming.map(({ name }) => `cluster/${name}`), ...others.map(({ name }) => name)];
    }
    case "scheme":
      return documents
        .filter(({ kind }) => kind.case === "role" && kind.value.scheme === rest)
        .map(({ name }) => name);
    case "image": {
      const digest = state.images.get(rest)?.digest ?? "";
      // A role may name it by its digest.
      const isIt = (name: string) => name === rest || name === digest;
      const roles = documents.filter(
        ({ kind }) =>
          kind.case === "role" && [kind.value, ...kind.value.images].some(({ image }) => isIt(image)),
      );
      const working = deploymentsOf(state, digest).map((name) => `deployment/${name}`);
      return [...roles.map(({ name }) => name), ...working];
    }
    case "secret":
      return [
        ...documents
          .filter(
            ({ kind }) =>
              (kind.case === "scheme" && kind.value.luks.some(({ secret }) => secret === rest)) ||
              (kind.case === "task" && Object.values(kind.value.secrets).includes(rest)),
          )
          .map(({ name }) => name),
        ...deploymentsNeeding(state, rest).map(({ name }) => `deployment/${name}`),
      ];
    case "task":
      return documents.filter((document) => needsTask(state, document, rest)).map(({ name }) => name);
    case "graph":
      return documents
        .filter(
          ({ kind }) =>
            (kind.case === "task" && kind.value.graphs.includes(rest)) ||
            (kind.case === "graph" && kind.value.name !== rest && graphsOf(kind.value).includes(rest)),
        )
        .map(({ name }) => name);
    default:
      return [];
  }
}

function rolesOf({ roles, crossDepends, crossDependedBy, delegateTo }: TaskSpec): string[] {
  return [...roles, ...[...crossDepends, ...crossDependedBy].map(({ role }) => role), delegateTo];
}

function graphsOf({ onSuccess, onError, onStop, sequence }: GraphSpec): string[] {
  return [onSuccess, onError, onStop, ...sequence];
}

/** Without the task, a word of the other would name nothing any more: neither a task nor a group. */
function needsTask(state: State, { kind }: Pick<Manifest, "kind">, name: string): boolean {
  if (kind.case !== "task" || kind.value.name === name) return false;
  const { requires, requiredFor, refreshOn, crossDepends, crossDependedBy } = kind.value;
  const across = [...crossDepends, ...crossDependedBy].map(({ task }) => task);
  const tasks = state.tasks();
  const all = new TaskWords(tasks);
  const rest = new TaskWords(tasks.filter((task) => task.name !== name));
  return [...requires, ...requiredFor, ...refreshOn, ...across].some(
    (word) => all.find(word).length > 0 && rest.find(word).length === 0,
  );
}
