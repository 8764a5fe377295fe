// What may be deleted: nothing that something else refers to, nothing that a deployment works on.
import { deploymentsOf } from "./image-needs.ts";
import { isBusy } from "./node.ts";
import { isRunning } from "./schedule.ts";
import { deploymentsNeeding } from "./secret-use.ts";
import type { State } from "./state.ts";

/**
 * What keeps a resource from being deleted, such as `cluster/demo`; empty if nothing does.
 * `name`: `node/n1`, `cluster/demo`, `role/compute`, `scheme/raid1`, `task/ntp`, `image/debian-12`, `secret/disks`.
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
      const naming = clusters.filter(({ spec }) => spec?.nodes.some(({ role }) => role === rest));
      const tasks = documents.filter(
        ({ kind }) =>
          kind.case === "task" &&
          (kind.value.roles.includes(rest) || kind.value.crossDepends.some(({ role }) => role === rest)),
      );
      return [...naming.map(({ name }) => `cluster/${name}`), ...tasks.map(({ name }) => name)];
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
            ({ kind }) => kind.case === "scheme" && kind.value.luks.some(({ secret }) => secret === rest),
          )
          .map(({ name }) => name),
        ...deploymentsNeeding(state, rest).map(({ name }) => `deployment/${name}`),
      ];
    case "task":
      return documents
        .filter(
          ({ kind }) =>
            kind.case === "task" &&
            (kind.value.requires.includes(rest) || kind.value.crossDepends.some(({ task }) => task === rest)),
        )
        .map(({ name }) => name);
    default:
      return [];
  }
}
