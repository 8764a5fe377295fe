// Resolves a cluster into a plan: every node's disks and the whole graph of steps. Pure: the same state
// gives the same plan and hash.
import { create } from "@bufbuild/protobuf";
import type { Cluster } from "../../proto/gen/muster/v1/cluster_pb.ts";
import {
  type NodePlan,
  NodePlanSchema,
  type PlannedStep,
  Purpose,
  Scope,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import type { Image } from "../../proto/gen/muster/v1/image_pb.ts";
import type { ClusterNode } from "../../proto/gen/muster/v1/manifest_pb.ts";
import type { TaskSpec } from "../../proto/gen/muster/v1/task_pb.ts";
import { isLeftOut } from "../../proto/plan/skipped-steps.ts";
import { limitFaults } from "./assign-limits.ts";
import { flagFaults, leaveOutUnchanged } from "./changed.ts";
import { sortGraph } from "./graph.ts";
import { chooseGraph } from "./graph-choice.ts";
import { isInstalled } from "./installed.ts";
import { bridgeLeftOut, leaveOut } from "./left-out.ts";
import { type Member, resolveMember } from "./members.ts";
import { programFaults } from "./missing-programs.ts";
import { decideConditions } from "./plan-conditions.ts";
import { tolerancesOf } from "./plan-tolerances.ts";
import { type PlanFault, type Planned, sealPlan } from "./planned.ts";
import { provisioningSteps, skippedProvisioning } from "./provisioning.ts";
import { planRelease, type ReleaseOptions } from "./release.ts";
import { taskSecretFaults } from "./secret-use.ts";
import { notAskedFor, type Selection, type SelectionOptions, selectNodes, selectTasks } from "./selection.ts";
import type { State } from "./state.ts";
import { missingTasks } from "./task-check.ts";
import { joinNode, orderTasks } from "./task-order.ts";
import { defaultGraph, type Spread, spreadTasks } from "./task-spread.ts";
import { taskSteps } from "./task-steps.ts";
import { TaskWords } from "./task-words.ts";

export type PlanOptions = {
  /** SCOPE_CHANGED if absent. */
  scope?: Scope;
  purpose?: Purpose;
  /** `default` if empty. */
  graphs?: readonly string[];
} & ReleaseOptions &
  SelectionOptions;

/** What a deployment of the cluster would do now. */
export function planCluster(state: State, cluster: Cluster, options: PlanOptions = {}): Planned {
  if (options.purpose === Purpose.RELEASE) return planRelease(state, cluster, options);
  const choice = chooseGraph(state, options.graphs ?? []);
  if ("fault" in choice) return { faults: [{ node: "", message: choice.fault }] };
  const places = cluster.spec?.nodes ?? [];
  const unfit = places.length ? limitsBroken(state, cluster, choice.graph, options) : [noNodes(cluster)];
  if (unfit.length) return { faults: unfit };
  const selection = selectNodes(state, cluster, places, options);
  if ("faults" in selection) return selection;
  return new Planner(state, cluster, options, selection, choice).plan();
}

function noNodes({ name }: Cluster): PlanFault {
  const message = `it has no nodes yet: \`muster assign ${name} --plan\` proposes some, or name them in its manifest`;
  return { node: "", message };
}

/** Roles that have too few or too many nodes are no matter where only a part of the cluster is worked on. */
function limitsBroken(state: State, { spec }: Cluster, graph: string, options: PlanOptions): PlanFault[] {
  const { nodes = [], tasks = [], from, until, failed, purpose } = options;
  const isPart = nodes.length > 0 || tasks.length > 0 || !!from || !!until || failed;
  if (!spec || isPart || graph !== defaultGraph || purpose === Purpose.CHECK) return [];
  const limits = limitFaults(state, { ...spec, wants: [] });
  return limits.map(({ role, description }) => ({ node: "", message: `role ${role}: ${description}` }));
}

/** One plan in the making: provisioning and tasks are put in order, then what need not be done is left out. */
class Planner {
  readonly #state: State;
  readonly #cluster: Cluster;
  readonly #options: PlanOptions;
  readonly #selection: Selection;
  readonly #choice: { graph: string; sequence: string[] };
  readonly #places: ClusterNode[];
  readonly #members = new Map<string, Member>();
  readonly #words: TaskWords;
  readonly #spreads: Spread[];
  readonly #tasks: ReadonlyMap<string, TaskSpec>;

  constructor(
    state: State,
    cluster: Cluster,
    options: PlanOptions,
    selection: Selection,
    choice: { graph: string; sequence: string[] },
  ) {
    this.#state = state;
    this.#cluster = cluster;
    this.#options = options;
    this.#selection = selection;
    this.#choice = choice;
    this.#places = cluster.spec?.nodes ?? [];
    const tasks = state.tasks();
    this.#words = new TaskWords(tasks);
    this.#spreads = spreadTasks(tasks, choice.graph, this.#places);
    this.#tasks = new Map(this.#spreads.map(({ task }) => [task.name, task]));
  }

  plan(): Planned {
    const missing = missingTasks([...this.#tasks.values()], this.#words);
    if (missing.length) return { faults: missing.map((message) => ({ node: "", message })) };
    const provisioning = this.#provision();
    if ("faults" in provisioning) return provisioning;
    const sorted = sortGraph([...provisioning.steps, ...this.#config()]);
    if ("cycle" in sorted) {
      return { faults: [{ node: "", message: `steps wait for each other: ${sorted.cycle.join(" -> ")}` }] };
    }
    const steps = sorted.order;
    const faults = this.#leaveOut(steps);
    if (faults.length) return { faults };
    bridgeLeftOut(steps);
    const forbidden = flagFaults(this.#state, steps);
    if (forbidden.length) return { faults: forbidden };
    const { graph, sequence } = this.#choice;
    const nodes = this.#nodePlans(steps);
    const planned = new Set(nodes.map(({ node }) => node));
    const tolerances = tolerancesOf(
      this.#state,
      this.#places.filter(({ node }) => planned.has(node)),
    );
    const purpose = this.#isCheck ? Purpose.CHECK : Purpose.DEPLOY;
    return {
      plan: sealPlan({ cluster: this.#cluster.name, purpose, nodes, steps, graph, sequence, tolerances }),
    };
  }

  get #isCheck(): boolean {
    return this.#options.purpose === Purpose.CHECK;
  }

  #isInstalled(node: string): boolean {
    return isInstalled(this.#state, this.#cluster.name, node);
  }

  /** The default graph begins with the systems themselves; other graphs are for those that have one. */
  #provision(): { steps: PlannedStep[] } | { faults: PlanFault[] } {
    const faults: PlanFault[] = [];
    const steps: PlannedStep[] = [];
    if (this.#choice.graph !== defaultGraph) return { steps };
    for (const place of this.#places) {
      if (this.#isCheck) steps.push(...skippedProvisioning(place.node, "not run in a check"));
      else if (!this.#selection.hasProvisioning(place.node)) {
        steps.push(...skippedProvisioning(place.node, notAskedFor));
      } else {
        const member = resolveMember(this.#state, this.#cluster, place);
        if ("faults" in member)
          faults.push(...member.faults.map((message) => ({ node: place.node, message })));
        else {
          this.#members.set(place.node, member);
          steps.push(...provisioningSteps(this.#cluster, member));
        }
      }
    }
    return faults.length ? { faults } : { steps };
  }

  #config(): PlannedStep[] {
    const order = orderTasks(this.#spreads, this.#words, this.#places);
    const installs = this.#choice.graph === defaultGraph;
    const last = new Map(this.#places.map(({ node }) => [node, installs ? [`${node}/reboot`] : []]));
    const first = (node: string) => last.get(node) ?? [];
    return taskSteps(this.#state, this.#cluster, this.#spreads, order, first);
  }

  /** Marks what is not to be done, and says why nothing can be. */
  #leaveOut(steps: readonly PlannedStep[]): PlanFault[] {
    const asked = selectTasks(this.#selection, steps, this.#spreads, this.#words, this.#options);
    if ("faults" in asked) return asked.faults;
    const absent = new Set<string>();
    for (const step of steps) {
      if (step.node === joinNode || !this.#tasks.has(step.task)) continue;
      if (!asked.isAsked(step)) leaveOut(step, notAskedFor);
      else if (this.#members.has(step.node) || this.#isInstalled(step.node)) continue;
      else if (this.#isCheck) leaveOut(step, "not run in a check: its node is not installed");
      else absent.add(step.node);
    }
    if (absent.size) return [...absent].map((node) => ({ node, message: this.#notInstalled() }));
    const faults = decideConditions(this.#state, this.#cluster, steps, this.#tasks, this.#places);
    faults.push(...taskSecretFaults(this.#state, steps));
    // A graph that is asked for by its name, or a check, is done whole.
    const whole = this.#isCheck || this.#choice.graph !== defaultGraph || this.#options.scope === Scope.ALL;
    if (!whole) leaveOutUnchanged(this.#state, steps, this.#tasks, this.#words);
    faults.push(...programFaults(steps, this.#tasks, (node) => this.#imageOf(node)));
    return faults;
  }

  /** What its system is made from, if that is done in this plan. */
  #imageOf(node: string): Image | undefined {
    return this.#members.get(node)?.image;
  }

  #notInstalled(): string {
    const { graph } = this.#choice;
    const what = graph === defaultGraph ? "the tasks that you ask for run" : `graph ${graph} runs`;
    return `it is not installed as a node of ${this.#cluster.name} yet, and ${what} on its installed system: deploy it first`;
  }

  /** Those of nodes that the plan is about. */
  #nodePlans(steps: readonly PlannedStep[]): NodePlan[] {
    const busy = new Set(steps.filter((step) => !isLeftOut(step)).map(({ node }) => node));
    return this.#places.flatMap((place) => {
      const member = this.#members.get(place.node);
      if (member) return [nodePlan(member)];
      const { node, role } = place;
      return busy.has(node) ? [create(NodePlanSchema, { node, role, hostname: place.hostname || node })] : [];
    });
  }
}

function nodePlan({ place, hostname, image, images, role, disks }: Member): NodePlan {
  return create(NodePlanSchema, {
    node: place.node,
    role: place.role,
    hostname,
    image: image.name,
    imageDigest: image.digest,
    scheme: role.scheme,
    disks,
    further: images.targets
      .filter(({ device }) => device !== disks.rootDevice)
      .map(({ image, device }) => ({ device, image: image.name, imageDigest: image.digest })),
  });
}
