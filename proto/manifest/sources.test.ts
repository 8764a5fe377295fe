import { expect, it } from "vitest";
import { decodeManifests } from "./decode.ts";
import { sourcesOf } from "./sources.ts";

it.each<[string, string[]]>([
  ["shell: {script: run.sh}", ["shell.script file run.sh"]],
  ["shell: {command: 'true'}", []],
  ["sync: {source: web, path: /srv}", ["sync.source directory web"]],
  [
    "copy_files: {files: [{source: a, path: /a}, {source: d/b, path: /b}]}",
    ["copy_files.files[0].source file a", "copy_files.files[1].source file d/b"],
  ],
  ["template: {path: /a, source: a.liquid}", ["template.source file a.liquid"]],
  [
    "merge_config: {path: /a, format: ini, layers: [{content: ''}, {source: a.ini, optional: true}, {source: '{{ node.name }}.ini', tree: config}]}",
    ["merge_config.layers[1].source file a.ini?", "merge_config.layers[2].tree directory config"],
  ],
  [
    "puppet: {source: site.pp, modules: modules}",
    ["puppet.source file site.pp", "puppet.modules directory modules"],
  ],
  ["ansible: {source: play}", ["ansible.source directory play"]],
])("%s", (action, expected) => {
  const content = `{kind: Task, name: t, roles: ['*'], ${action}}`.replace("content: ''", "content: x");
  const { documents, faults } = decodeManifests([{ path: "t.yaml", content }]);
  expect(faults).toEqual([]);
  const [document] = documents;
  if (document?.manifest.kind.case !== "task") throw new Error("no task");
  const named = sourcesOf(document.manifest.kind.value);
  expect(
    named.map(({ path, kind, source, optional }) => `${path} ${kind} ${source}${optional ? "?" : ""}`),
  ).toEqual(expected);
  // A fault is told where the source stands.
  for (const { path, source } of named) {
    const { line, column } = document.locate(path);
    expect([
      line,
      content
        .slice(column - 1)
        .replace(/^'/, "")
        .startsWith(source),
    ]).toEqual([1, true]);
  }
});
