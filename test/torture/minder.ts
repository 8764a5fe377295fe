// The operator's care for one cluster: deploys it again and again, retries what failed, and until the operator is
// calm also stops, resumes, holds and continues at whim.
import { randomUUID } from "node:crypto";
import {
  type Deployment,
  Deployment_State,
  Deployment_StateSchema,
  Scope,
  type Step,
  Step_State,
  Step_StateSchema,
} from "../../proto/gen/muster/v1/deployment_pb.ts";
import { nameOf } from "../sim/timeline.ts";
import type { Api } from "./api.ts";
import type { Answer, Operator } from "./operator.ts";

const { RUNNING, STOPPING, STOPPED, FAILED, SUCCEEDED } = Deployment_State;

export class Minder {
  readonly cluster: string;
  readonly #operator: Operator;
  /** Every deployment that the daemon has said to have started. */
  readonly started = new Set<string>();
  succeeded = 0;
  isContent = false;
  #last: { deployment: Deployment; steps: Step[] } | undefined;
  #counted = "";
  #again = false;
  /** What was acknowledged and not taken back since, of the newest deployment. */
  #asked = { deployment: "", isStopped: false, holds: new Set<string>() };

  constructor(cluster: string, operator: Operator) {
    this.cluster = cluster;
    this.#operator = operator;
  }

  /** Deploys once more, also when the operator is calm. */
  again(): void {
    this.#again = true;
    this.isContent = false;
  }

  async look(): Promise<void> {
    const answer = await this.#operator.call((api) => api.deployments.getDeployment({ name: this.cluster }));
    if (answer === "unknown") return;
    const deployment = "said" in answer ? answer.said.deployment : undefined;
    this.isContent = this.#operator.isCalm && !this.#again && deployment?.state === SUCCEEDED;
    if ("refused" in answer || !deployment) return this.#start();
    this.#last = { deployment, steps: answer.said.steps };
    if (deployment.state === SUCCEEDED && this.#counted !== deployment.name) {
      this.#counted = deployment.name;
      this.succeeded++;
    }
    this.#compare(deployment, answer.said.steps);
    await this.#act(deployment, answer.said.steps);
  }

  #compare({ name, state }: Deployment, steps: Step[]): void {
    const { witness } = this.#operator;
    if (this.#asked.deployment !== name) {
      this.#asked = { deployment: name, isStopped: false, holds: new Set() };
    }
    const { isStopped, holds } = this.#asked;
    if (isStopped && state === RUNNING) witness.misses(`the stop of ${name}`);
    const free = steps.filter(({ node, task, hold }) => !hold && holds.has(`${node}/${task}`));
    for (const step of free) witness.misses(`the hold of ${step.name}`);
  }

  /** What is open in its last deployment. */
  explain(): string {
    if (!this.#last) return `${this.cluster}: there is no deployment`;
    const { deployment, steps } = this.#last;
    const done: Step_State[] = [Step_State.SUCCEEDED, Step_State.SKIPPED];
    const open = steps.filter(({ state }) => !done.includes(state));
    const lines = open.map((step) => `  ${step.name} ${nameOf(Step_StateSchema, step.state)} ${step.reason}`);
    const head = `${deployment.name} ${nameOf(Deployment_StateSchema, deployment.state)} ${deployment.reason}`;
    return [head, ...lines].join("\n");
  }

  async #act({ name, state }: Deployment, steps: Step[]): Promise<void> {
    const { isCalm, random } = this.#operator;
    switch (state) {
      case SUCCEEDED:
        if (!isCalm || this.#again) await this.#start();
        break;
      case FAILED:
        if (!isCalm && random.chance(0.15)) await this.#start();
        else await this.#change((api) => api.deployments.retryDeployment({ name, requestId: randomUUID() }));
        break;
      case STOPPED:
        await this.#resume(name);
        break;
      case STOPPING:
        if (random.chance(0.2)) await this.#resume(name);
        break;
      case RUNNING:
        if (steps.some(({ hold }) => hold) && (isCalm || random.chance(0.4))) {
          this.#asked.holds.clear();
          await this.#operator.call((api) =>
            api.deployments.continueSteps({ name, requestId: randomUUID() }),
          );
        } else if (!isCalm) await this.#meddle(name);
    }
  }

  async #resume(name: string): Promise<void> {
    this.#asked.isStopped = false;
    await this.#change((api) => api.deployments.resumeDeployment({ name, requestId: randomUUID() }));
  }

  async #meddle(name: string): Promise<void> {
    const { random } = this.#operator;
    const requestId = randomUUID();
    if (random.chance(0.06)) {
      const force = random.chance(0.4);
      const answer = await this.#change((api) => api.deployments.stopDeployment({ name, force, requestId }));
      if (answer !== "unknown" && "said" in answer) this.#asked.isStopped = true;
    } else if (random.chance(0.1)) {
      const steps = [random.pick(["open", "join", "prepare"]) ?? ""];
      const answer = await this.#operator.call((api) =>
        api.deployments.holdSteps({ name, steps, requestId }),
      );
      if (answer === "unknown" || "refused" in answer) return;
      for (const step of answer.said.steps) this.#asked.holds.add(step);
    }
  }

  /** The same request again until it is answered: the daemon must know it. */
  async #start(): Promise<void> {
    const { cluster } = this;
    const scope = Scope.ALL;
    const planned = await this.#operator.call((api) => api.deployments.planCluster({ cluster, scope }));
    if (planned === "unknown" || "refused" in planned) return;
    const planHash = planned.said.plan?.hash ?? "";
    const requestId = randomUUID();
    while (true) {
      const answer = await this.#change((api) =>
        api.deployments.startDeployment({ cluster, scope, planHash, requestId }),
      );
      if (answer === "unknown") continue;
      if ("refused" in answer) return;
      const name = answer.said.deployment?.name ?? "";
      if (this.started.has(name)) this.#operator.problems.push(`two requests have started ${name}`);
      this.started.add(name);
      this.#again = false;
      return;
    }
  }

  async #change<T extends { deployment?: Deployment }>(work: (api: Api) => Promise<T>): Promise<Answer<T>> {
    const answer = await this.#operator.call(work);
    if (answer !== "unknown" && "said" in answer && answer.said.deployment) {
      const { name, revision } = answer.said.deployment;
      this.#operator.witness.saw(`deployment/${name}`, revision);
    }
    return answer;
  }
}
