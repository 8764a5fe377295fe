// Fuel's tasks.yaml files: their tasks with the lines that they stand on.
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type YAMLMap } from "yaml";
import { ImportRefusal, type Place } from "./imported.ts";

export type FuelFile = { path: string; content: string };

export type FuelTask = {
  id: string;
  type: string;
  /** `default`, or the name of the directory below `graphs/` that it stands in. */
  graph: string;
  /** All its fields, as they are written. Of two with the same name the last counts, as in Fuel. */
  fields: Record<string, unknown>;
  /** Fields that are there twice. */
  repeated: string[];
  file: string;
  /** The line of a field, or of the nearest that is there on the way to it. */
  line(...path: (string | number)[]): number;
};

/** Every task, in the order of the files. Throws an ImportRefusal that names all that are none. */
export function readFuelTasks(files: FuelFile[]): FuelTask[] {
  const tasks: FuelTask[] = [];
  const reasons: string[] = [];
  const places = new Map<string, Place>();
  for (const { path, content } of files) {
    const lines = new LineCounter();
    const document = parseDocument(content, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
    const at = (offset: number) => lines.linePos(offset).line;
    const [error] = document.errors;
    if (error) {
      reasons.push(`${path}:${at(error.pos[0])}: this is not valid YAML: ${error.message}`);
      continue;
    }
    if (document.contents === null) continue;
    if (!isSeq(document.contents)) {
      reasons.push(`${path}:1: is a list of tasks, each with an id and a type`);
      continue;
    }
    for (const item of document.contents.items) {
      const start = isMap(item) && item.range ? at(item.range[0]) : 1;
      const fields: unknown = isMap(item) ? item.toJS(document) : undefined;
      if (!isMap(item) || !isRecord(fields) || !isWord(fields.id) || !isWord(fields.type)) {
        reasons.push(`${path}:${start}: a task has an id and a type`);
        continue;
      }
      const graph = /(?:^|\/)graphs\/([^/]+)\/[^/]+$/.exec(path)?.[1] ?? "default";
      const key = `${graph}/${fields.id}`;
      const twin = places.get(key);
      if (twin) reasons.push(`${path}:${start}: there is a task ${fields.id} at ${twin.file}:${twin.line}`);
      places.set(key, { file: path, line: start });
      const line = (...way: (string | number)[]) => lineOf(item, way, at) ?? start;
      const keys = item.items.map(({ key }) => (isScalar(key) ? String(key.value) : ""));
      const repeated = keys.filter((key, i) => keys.indexOf(key) < i);
      tasks.push({ id: fields.id, type: fields.type, graph, fields, repeated, file: path, line });
    }
  }
  if (reasons.length) throw new ImportRefusal(reasons);
  return tasks;
}

function lineOf(item: YAMLMap, way: (string | number)[], at: (offset: number) => number): number | undefined {
  let node: unknown = item;
  let line: number | undefined;
  for (const step of way) {
    if (isMap(node)) node = node.items.findLast(({ key }) => isScalar(key) && key.value === step)?.value;
    else if (isSeq(node)) node = node.items[Number(step)];
    if (!isNode(node) || !node.range) break;
    line = at(node.range[0]);
  }
  return line;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isWord(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

/** The text of a `{yaql_exp: ...}`. */
export function yaqlOf(value: unknown): string | undefined {
  return isRecord(value) && typeof value.yaql_exp === "string" ? value.yaql_exp : undefined;
}
