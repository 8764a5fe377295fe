// A scenario is a list of steps, each of which waits for the one before: run something on the nodes of a role, then wait
// until something is so. Here it becomes tasks that depend on one another across nodes.
//
//   name: compute
//   steps:
//     - role: controller
//       nodes: primary            # or secondary: all but the first; all if absent
//       puppet: controller.pp     # or any action of a task, in its own words
//       parallel: 2               # nodes at once; false is one; all if absent
//       may_fail: true            # the scenario goes on if it fails
//       wait: { port: "10.0.0.9:3306", from: compute, timeout: 5m }
import { isNode, isSeq, LineCounter, parseDocument } from "yaml";
import { TaskSpecSchema } from "../../../proto/gen/muster/v1/task_pb.ts";
import { decodeManifests } from "../../../proto/manifest/decode.ts";
import { hintFor } from "../../../proto/manifest/suggest.ts";
import { isRecord } from "./fuel-tasks.ts";
import { type Imported, type ImportedDocument, ImportRefusal, tallyOf } from "./imported.ts";
import { manifestText } from "./manifest-text.ts";

/** What a step says beside its action. */
const ownKeys = ["name", "role", "nodes", "parallel", "may_fail", "wait"];
/** Fields of a task that a step may have as they are. */
const taskKeys = ["timeout", "retries", "interval", "backoff", "condition", "hold", "parameters", "secrets"];
const actionKeys =
  TaskSpecSchema.oneofs.find(({ name }) => name === "action")?.fields.map(({ name }) => name) ?? [];
const waitKeys = ["port", "http", "file", "command"];

/** Actions that have a short form: the one field that they need. */
const shortForms: Record<string, string> = {
  shell: "command",
  puppet: "source",
  ansible: "source",
  service: "name",
};

type Before = { task: string; role: string }[];

/** Throws an ImportRefusal with all that is wrong. */
export function importScenario(path: string, content: string): Imported {
  const lines = new LineCounter();
  const document = parseDocument(content, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number | undefined) => lines.linePos(offset ?? 0).line;
  const [error] = document.errors;
  if (error)
    throw new ImportRefusal([`${path}:${at(error.pos[0])}: this is not valid YAML: ${error.message}`]);
  const root: unknown = document.toJS();
  const nodes = document.get("steps", true);
  const steps: unknown[] = isRecord(root) && Array.isArray(root.steps) ? root.steps : [];
  if (!isRecord(root) || typeof root.name !== "string" || !isSeq(nodes) || steps.length === 0) {
    throw new ImportRefusal([`${path}:1: a scenario has a name and steps`]);
  }
  const reasons: string[] = [];
  const documents: ImportedDocument[] = [];
  let before: Before = [];
  for (const [i, step] of steps.entries()) {
    const item = nodes.items[i];
    const place = `${path}:${at(isNode(item) ? item.range?.[0] : 0)}`;
    const faults = faultsOf(step);
    if (faults.length || !isRecord(step)) {
      reasons.push(...faults.map((fault) => `${place}: step ${i + 1}: ${fault}`));
      continue;
    }
    const name = typeof step.name === "string" ? step.name : `${root.name}-${i + 1}-${step.role}`;
    const made = tasksOf(name, step, before, root.modules);
    for (const one of made.documents) one.comments.push(place);
    reasons.push(...manifestFaults(made.documents, `${place}: step ${i + 1}`));
    documents.push(...made.documents);
    before = made.after;
  }
  if (reasons.length) throw new ImportRefusal(reasons);
  return {
    documents,
    notes: [],
    remarks: [],
    tally: tallyOf(
      steps.map((_, i) => String(i)),
      [],
    ),
  };
}

function faultsOf(step: unknown): string[] {
  if (!isRecord(step)) return ["is a map with a role and what is done on its nodes"];
  const faults: string[] = [];
  const keys = [...ownKeys, ...taskKeys, ...actionKeys];
  for (const key of Object.keys(step)) {
    if (!keys.includes(key)) faults.push(`there is no \`${key}\`${hintFor(key, keys)}`);
  }
  const actions = actionKeys.filter((key) => key in step);
  if (actions.length !== 1)
    faults.push(
      `needs one action, and has ${actions.join(", ") || "none"}; such as puppet, shell or ansible`,
    );
  if (typeof step.role !== "string") faults.push("needs a role");
  if (!["primary", "secondary", "all", undefined].some((one) => one === step.nodes)) {
    faults.push("`nodes` is primary, secondary or all");
  }
  if (
    typeof step.parallel !== "boolean" &&
    typeof step.parallel !== "number" &&
    step.parallel !== undefined
  ) {
    faults.push("`parallel` is true, false, or how many nodes at once");
  }
  for (const wait of waitsOf(step)) {
    const looks = isRecord(wait) ? waitKeys.filter((key) => key in wait) : [];
    if (looks.length !== 1) faults.push(`\`wait\` needs one of ${waitKeys.join(", ")}`);
  }
  return faults;
}

function waitsOf({ wait }: Record<string, unknown>): unknown[] {
  if (wait === undefined) return [];
  return Array.isArray(wait) ? wait : [wait];
}

function tasksOf(
  name: string,
  step: Record<string, unknown>,
  before: Before,
  modules: unknown,
): { documents: ImportedDocument[]; after: Before } {
  const role = String(step.role);
  const first = `node.name == roles[${JSON.stringify(role)}][0]`;
  const only = step.nodes === "secondary" ? first.replace("==", "!=") : "";
  const conditions = [only, typeof step.condition === "string" ? step.condition : ""].filter(Boolean);
  const main: ImportedDocument = {
    kind: "Task",
    comments: [],
    spec: {
      name,
      roles: [role],
      ...(step.nodes === "primary" ? { run_once: true } : {}),
      ...(before.length ? { cross_depends: before } : {}),
      ...Object.fromEntries(taskKeys.filter((key) => key in step).map((key) => [key, step[key]])),
      ...(conditions.length
        ? { condition: conditions.map((one) => (conditions.length > 1 ? `(${one})` : one)).join(" && ") }
        : {}),
      ...strategyOf(step.parallel),
      ...(step.may_fail === true ? { fail_on_error: false } : {}),
      ...actionOf(step, modules),
    },
  };
  const documents = [main];
  let after: Before = [{ task: name, role }];
  for (const [i, wait] of waitsOf(step).entries()) {
    if (!isRecord(wait)) continue;
    const { from, timeout, ...what } = wait;
    const looking = typeof from === "string" ? from : role;
    const task = `${name}-wait${i ? `-${i + 1}` : ""}`;
    documents.push({
      kind: "Task",
      comments: [],
      spec: {
        name: task,
        roles: [looking],
        // Who looks is who did it, if nobody else is named.
        ...(from === undefined && step.nodes === "primary" ? { run_once: true } : {}),
        ...(from === undefined && only ? { condition: only } : {}),
        cross_depends: after,
        // When the step is done again, so is the wait.
        ...(from === undefined ? { refresh_on: [name] } : { reexecute_on: ["deploy"] }),
        ...(timeout === undefined ? {} : { timeout }),
        wait_for: what,
      },
    });
    after = [{ task, role: looking }];
  }
  return { documents, after };
}

function strategyOf(parallel: unknown): Record<string, unknown> {
  if (parallel === false || parallel === 1) return { strategy: { type: "one_by_one" } };
  return typeof parallel === "number" ? { strategy: { type: "parallel", amount: parallel } } : {};
}

function actionOf(step: Record<string, unknown>, modules: unknown): Record<string, unknown> {
  const [key = ""] = actionKeys.filter((one) => one in step);
  const field = shortForms[key];
  const action = typeof step[key] === "string" && field ? { [field]: step[key] } : step[key];
  if (key !== "puppet" || modules === undefined || !isRecord(action)) return { [key]: action ?? {} };
  return { puppet: { modules, ...action } };
}

/** What a manifest of these tasks would be refused for. */
function manifestFaults(documents: ImportedDocument[], place: string): string[] {
  const content = manifestText({ documents, remarks: [] }, place);
  const { faults } = decodeManifests([{ path: place, content }]);
  return faults.map(({ path, message }) => `${place}: ${path ? `${path}: ` : ""}${message}`);
}
