// Deployments of which a test says only the interesting: what is planned, and what ran when.
import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Attempt,
  AttemptSchema,
  type Deployment,
  Deployment_State,
  DeploymentSchema,
  type PlannedStepSchema,
  type Step,
  Step_State,
  StepSchema,
} from "../../../proto/gen/muster/v1/deployment_pb.ts";
import { type Report, reportOf } from "../report.ts";

type Init<S extends DescMessage> = Omit<
  Exclude<MessageInitShape<S>, { $typeName: string }>,
  "$typeName" | "$unknown"
>;
type Planned = Init<typeof PlannedStepSchema>;
/** Seconds since the deployment began. */
type Try = [from: number, to: number, state?: Step_State, reason?: string];

export const begin = Date.UTC(2026, 10, 21, 12);
export const at = (seconds: number) => timestampFromMs(begin + seconds * 1000);
const { SUCCEEDED, RUNNING, PENDING } = Step_State;

export class World {
  readonly planned: Planned[] = [];
  readonly steps: Step[] = [];
  readonly attempts: Attempt[] = [];

  step(
    id: string,
    requires: string[],
    tries: Try[],
    init: Planned = {},
    stored: Init<typeof StepSchema> = {},
  ): this {
    const [node = "", task = ""] = id.split("/");
    const join = { kind: { case: "join" as const, value: {} } };
    this.planned.push({ id, node, task, requires, action: node === "_" ? join : undefined, ...init });
    const [last] = tries.slice(-1);
    const name = `d-1/${id}`;
    tries.forEach(([from, to, state = SUCCEEDED, reason = ""], i) => {
      if (state === RUNNING) return;
      const ends = { startTime: at(from), endTime: at(to), state, reason };
      this.attempts.unshift(
        create(AttemptSchema, { name: `${name}/${i + 1}`, step: name, node, task, number: i + 1, ...ends }),
      );
    });
    this.steps.push(
      create(StepSchema, {
        name,
        node,
        task,
        state: last ? (last[2] ?? SUCCEEDED) : PENDING,
        reason: last?.[3] ?? "",
        attempt: tries.length,
        ...(last ? { startTime: at(last[0]) } : {}),
        ...(last && last[2] !== RUNNING ? { endTime: at(last[1]) } : {}),
        ...stored,
      }),
    );
    return this;
  }

  deployment(end?: number): Deployment {
    const nodes = [...new Set(this.planned.map(({ node }) => node ?? ""))].filter((node) => node !== "_");
    return create(DeploymentSchema, {
      name: "d-1",
      cluster: "d",
      state: end === undefined ? Deployment_State.RUNNING : Deployment_State.SUCCEEDED,
      startTime: at(0),
      ...(end === undefined ? {} : { endTime: at(end) }),
      plan: {
        nodes: nodes.map((node) => ({ node, role: node.startsWith("c") ? "controller" : "compute" })),
        steps: this.planned,
      },
    });
  }

  report(end?: number, now = 1000): Report {
    return reportOf(this.deployment(end), this.steps, this.attempts, begin + now * 1000);
  }
}

/** Two computes behind a controller; one of them has to be tried twice. */
export const small = new World()
  .step("c1/db", [], [[0, 30]])
  .step("n1/app", ["c1/db"], [[31, 60]])
  .step(
    "n2/app",
    ["c1/db"],
    [
      [31, 40, Step_State.FAILED, "exit code 2: \u001b[31mno route <to> host"],
      [45, 80],
    ],
  )
  .step("c1/check", ["n1/app", "n2/app"], [[80.5, 90]]);
