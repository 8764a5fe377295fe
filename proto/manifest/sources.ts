// Which fields of a task name files and directories beside its manifest.
import type { TaskSpec } from "../gen/muster/v1/task_pb.ts";

/** What a field names. `optional`: there may be no such file. */
export type NamedSource = { path: string; source: string; kind: "file" | "directory"; optional: boolean };

/** In the order of the fields; `path` is that of the field, such as `copy_files.files[0].source`. */
export function sourcesOf({ action }: TaskSpec): NamedSource[] {
  return fieldsOf(action).filter(({ source }) => source !== "");
}

function fieldsOf(action: TaskSpec["action"]): NamedSource[] {
  switch (action.case) {
    case "shell":
      return [file("shell.script", action.value.script)];
    case "sync":
      return [directory("sync.source", action.value.source)];
    case "copyFiles":
      return action.value.files.map(({ source }, i) => file(`copy_files.files[${i}].source`, source));
    case "template":
      return [file("template.source", action.value.source)];
    case "mergeConfig":
      // Below a tree, the source is a template: only the node knows which file it is.
      return action.value.layers.map(({ source, tree, optional }, i) =>
        tree
          ? directory(`merge_config.layers[${i}].tree`, tree)
          : { ...file(`merge_config.layers[${i}].source`, source), optional },
      );
    case "puppet":
      return [file("puppet.source", action.value.source), directory("puppet.modules", action.value.modules)];
    case "ansible":
      return [directory("ansible.source", action.value.source)];
    default:
      return [];
  }
}

function file(path: string, source: string): NamedSource {
  return { path, source, kind: "file", optional: false };
}

function directory(path: string, source: string): NamedSource {
  return { path, source, kind: "directory", optional: false };
}
