import { expect, it } from "vitest";
import { usersOf } from "./removal.ts";
import { TaskWorld } from "./task-plan-fixture.ts";

function world(): TaskWorld {
  const world = new TaskWorld(["compute"]);
  world.apply(
    [
      "{kind: Role, name: spare, image: debian, scheme: plain}",
      "{kind: Role, name: proxy, image: debian, scheme: plain, conflicts: [spare]}",
      "{kind: Graph, name: verify}",
      "{kind: Graph, name: night, sequence: [verify]}",
      "{kind: Task, name: a1, roles: ['*'], group: base, noop: {}}",
      "{kind: Task, name: a2, roles: ['*'], group: base, noop: {}}",
      "{kind: Task, name: b, roles: ['*'], requires: [base, '/^a/'], graphs: [verify], noop: {}}",
      "{kind: Task, name: c, roles: [compute], run_once: true, delegate_to: spare, refresh_on: [b], secrets: {p: db}, noop: {}}",
      "{kind: Task, name: d, roles: ['*'], cross_depended_by: [{task: c, role: '*'}], noop: {}}",
    ].join("\n---\n"),
  );
  return world;
}

it.each([
  ["task/a1", []],
  ["task/b", ["task/c"]],
  ["task/c", ["task/d"]],
  ["graph/verify", ["graph/night", "task/b"]],
  ["graph/night", []],
  ["role/spare", ["role/proxy", "task/c"]],
  ["secret/db", ["task/c"]],
])("%s is used by %j", (name, users) => {
  expect(usersOf(world().state, name).sort()).toEqual(users);
});

it("keeps the last task of a group that another waits for", () => {
  const { state } = world();
  state.apply({ delete: "task/a1" });
  expect(usersOf(state, "task/a2")).toEqual(["task/b"]);
});
