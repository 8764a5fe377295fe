// Which part of a cluster is planned or deployed: the options of `muster plan` and `deploy` as parts of a request.
import { FilterError } from "../../proto/filter/filter-error.ts";
import { expandNodes } from "../../proto/filter/node-list.ts";
import { selectorFilter } from "../../proto/filter/selector.ts";
import { Purpose, Scope } from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Operator } from "../client.ts";
import { RefusedError } from "../errors.ts";
import { allPages } from "../pages.ts";

export type SelectionOptions = {
  all?: boolean;
  graph?: string[];
  tasks?: string[];
  nodes?: string[];
  /** In place of `nodes`: filters and node lists, all of which a node must pass. */
  selector?: string[];
  from?: string;
  until?: string;
  failed?: boolean;
  /** Only what would change. */
  noop?: boolean;
};

export type Wanted = {
  cluster: string;
  scope: Scope;
  purpose: Purpose;
  nodes: string[];
  graphs: string[];
  tasks: string[];
  from: string;
  until: string;
  failed: boolean;
};

export async function wanted(
  operator: Operator,
  cluster: string,
  options: SelectionOptions,
): Promise<Wanted> {
  const { selector } = options;
  return {
    cluster,
    scope: options.all ? Scope.ALL : Scope.CHANGED,
    purpose: options.noop ? Purpose.CHECK : Purpose.DEPLOY,
    nodes: selector?.length ? await chosen(operator, cluster, selector) : nodeNames(options.nodes),
    graphs: names(options.graph),
    tasks: names(options.tasks),
    from: options.from ?? "",
    until: options.until ?? "",
    failed: options.failed ?? false,
  };
}

/** The options as they would be typed again. */
export function selectionWords(options: SelectionOptions): string {
  const { all, noop, failed, from, until } = options;
  const listed = (name: string, values: string[] = []) =>
    values.length > 0 && `--${name} ${quoted(values.join(","))}`;
  const words = [
    all && "--all",
    listed("graph", options.graph),
    listed("tasks", options.tasks),
    listed("nodes", options.nodes),
    ...(options.selector ?? []).map((one) => `-l ${quoted(one)}`),
    from && `--from ${quoted(from)}`,
    until && `--until ${quoted(until)}`,
    failed && "--failed",
    noop && "--noop",
  ];
  return words.filter(Boolean).join(" ");
}

/** Whether it is a part of the cluster, other than all that has changed. */
export function isPart({ graph, tasks, nodes, selector, from, until, failed }: SelectionOptions): boolean {
  const lists = [graph, tasks, nodes, selector];
  return lists.some((list) => list?.length) || Boolean(from || until || failed);
}

/** Names with commas between them; a `/REGULAR EXPRESSION/` may have commas of its own. */
function names(lists: string[] = []): string[] {
  return lists
    .flatMap((list) => list.match(/\/(?:[^/\\]|\\.)*\/|[^,]+/g) ?? [])
    .map((name) => name.trim())
    .filter(Boolean);
}

/** The nodes of the cluster that pass. */
async function chosen(
  { clusters, nodes }: Operator,
  cluster: string,
  selectors: readonly string[],
): Promise<string[]> {
  const { cluster: known } = await clusters.getCluster({ name: cluster });
  const members = new Set(known?.spec?.nodes.map(({ node }) => node));
  const found = await allPages(
    (request) => nodes.listNodes(request),
    (page) => page.nodes,
    { filter: selectorFilter(selectors) },
  );
  const names = found.map(({ name }) => name).filter((name) => members.has(name));
  if (!names.length) throw new RefusedError(`no node of cluster ${cluster} is chosen by -l`);
  return names;
}

function nodeNames(lists: string[] = []): string[] {
  try {
    return lists.flatMap(expandNodes);
  } catch (error) {
    if (error instanceof FilterError) throw new RefusedError(`--nodes: ${error.message}`);
    throw error;
  }
}

function quoted(text: string): string {
  return /^[\w.,/=-]+$/.test(text) ? text : `'${text}'`;
}
