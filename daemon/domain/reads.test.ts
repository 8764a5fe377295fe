import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { ClusterSchema } from "../../proto/gen/muster/v1/cluster_pb.ts";
import { NodeSchema } from "../../proto/gen/muster/v1/node_pb.ts";
import { type TaskSpec, TaskSpecSchema } from "../../proto/gen/muster/v1/task_pb.ts";
import { readerOf } from "./reads.ts";
import { put, State } from "./state.ts";
import { inputsOf } from "./task-actions.ts";

type Change = "none" | "color" | "size" | "another node" | "label" | "hardware" | "address";
const changes: Change[] = ["color", "size", "another node", "label", "hardware", "address"];

function read(
  action: TaskSpec["action"],
  fields: { reexecuteOn?: string[] },
  sources: Record<string, string>,
  change: Change,
) {
  const state = new State();
  const node = create(NodeSchema, {
    name: "n1",
    spec: { name: "n1", labels: { rack: change === "label" ? "r2" : "r1" } },
    address: change === "address" ? "10.0.0.2" : "10.0.0.1",
    inventory: { memoryBytes: change === "hardware" ? 2n : 1n },
  });
  state.apply(put({ case: "node", value: node }));
  const nodes = [
    { node: "n1", role: "a" },
    ...(change === "another node" ? [{ node: "n2", role: "a" }] : []),
  ];
  const settings = { color: change === "color" ? "red" : "blue", size: change === "size" ? "s" : "l" };
  const cluster = create(ClusterSchema, { name: "demo", spec: { nodes, settings } });
  const task = create(TaskSpecSchema, { name: "t", ...fields, action });
  const [place] = cluster.spec?.nodes ?? [];
  return place ? readerOf(state, cluster, task, inputsOf(task, sources))(place) : "";
}

/** What makes the step another one. */
function matters(
  action: TaskSpec["action"],
  fields: { reexecuteOn?: string[] } = {},
  sources: Record<string, string> = {},
) {
  const now = read(action, fields, sources, "none");
  return changes.filter((change) => read(action, fields, sources, change) !== now);
}

const template = (content: string): TaskSpec["action"] =>
  create(TaskSpecSchema, { action: { case: "template", value: { path: "/x", content } } }).action;
const shell = (command: string): TaskSpec["action"] =>
  create(TaskSpecSchema, { action: { case: "shell", value: { command } } }).action;

it.each<[string, TaskSpec["action"], Change[]]>([
  ["plain text", template("x"), []],
  ["one setting", template("{{ settings.color }}"), ["color"]],
  ["a setting by key", template("{{ settings['size'] }}"), ["size"]],
  ["all settings", template("{% for s in settings %}{% endfor %}"), ["color", "size"]],
  ["all nodes", template("{{ nodes | size }}"), ["another node", "label"]],
  ["nodes by role", template("{{ roles.a | join }}"), ["another node"]],
  ["its node", template("{{ node.labels.rack }} {{ node.address }}"), ["label"]],
  ["its hardware", template("{{ node.inventory.memory_bytes }}"), ["label", "hardware"]],
  ["a variable of a command", shell("echo $MUSTER_SETTING_SIZE"), ["size"]],
  ["all variables of a command", shell("env | grep MUSTER_SETTING"), ["color", "size"]],
  ["a command with such words", shell("kubectl get nodes; echo settings"), []],
])("%s", (_, action, expected) => {
  expect(matters(action)).toEqual(expected);
});

it("is more where nobody can see it: in a file, everything that a template is likely to read", () => {
  const file = create(TaskSpecSchema, {
    action: { case: "template", value: { path: "/x", source: "x.j2" } },
  }).action;
  expect(matters(file, {}, { "x.j2": "d" })).toEqual(["color", "size", "another node", "label"]);
  const script = create(TaskSpecSchema, { action: { case: "shell", value: { script: "run.sh" } } }).action;
  expect(matters(script, {}, { "run.sh": "d" })).toEqual(["color", "size", "label"]);
  const play = create(TaskSpecSchema, { action: { case: "ansible", value: { source: "play" } } }).action;
  expect(matters(play, {}, { play: "d" })).toEqual(["color", "size", "label"]);
});

it("is what a task says that it depends on", () => {
  expect(matters(shell("true"), { reexecuteOn: ["nodes"] })).toEqual(["another node"]);
  expect(matters(shell("true"), { reexecuteOn: ["settings"] })).toEqual(["color", "size"]);
});
