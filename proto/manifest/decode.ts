// Manifests: any number of YAML documents, each one of the kinds of message Manifest, decoded and checked.
// Every fault has its file, line, column and field path.
import { create, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { type Document, isMap, isScalar, LineCounter, parseAllDocuments, type YAMLMap } from "yaml";
import { type Manifest, ManifestSchema } from "../gen/muster/v1/manifest_pb.ts";
import { checkMessage, quote } from "./check.ts";
import { MessageReader, type Misread } from "./message-reader.ts";
import { Positions } from "./positions.ts";
import { expected, readScalar } from "./scalar.ts";
import { hintFor } from "./suggest.ts";

export type ManifestFile = { path: string; content: string };
/** Something an operator must put right. `path` is empty if it is about a whole document. */
export type Fault = { file: string; line: number; column: number; path: string; message: string };
export type Position = { line: number; column: number };
export type DecodedDocument = {
  file: string;
  manifest: Manifest;
  /** Where the value of a field stands, or the nearest that encloses it. */
  locate(path: string): Position;
};

/** Decodes every document that has no fault, and lists every fault of the others in order of place. */
export function decodeManifests(files: ManifestFile[]): { documents: DecodedDocument[]; faults: Fault[] } {
  const documents: DecodedDocument[] = [];
  const faults: Fault[] = [];
  const places = new Map<string, string>();
  for (const file of files) {
    const lines = new LineCounter();
    const at = (offset: number): Position => {
      const { line, col } = lines.linePos(offset);
      return { line, column: col };
    };
    // Duplicate keys are found by the reader, which knows their field paths.
    // A byte order mark is no column.
    const parsed = parseAllDocuments(file.content.replace(/^\uFEFF/, ""), {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false,
    });
    for (const document of Array.from<Document.Parsed>(parsed)) {
      const decoded = decodeDocument(document);
      const found = decoded.faults.map(({ offset, ...fault }) => ({
        file: file.path,
        ...at(offset),
        ...fault,
      }));
      faults.push(...found.sort((a, b) => a.line - b.line || a.column - b.column));
      if (decoded.manifest === undefined) continue;
      const { manifest, positions } = decoded;
      const locate = (path: string) => at(positions.find(path));
      const twin = claimName(places, manifest, file.path, locate("name"));
      if (twin) faults.push(twin);
      else documents.push({ file: file.path, manifest, locate });
    }
  }
  return { documents, faults };
}

/** `FILE:LINE:COL: field.path: message` */
export function formatFault(fault: Fault): string {
  const place = `${fault.file}:${fault.line}:${fault.column}`;
  return fault.path ? `${place}: ${fault.path}: ${fault.message}` : `${place}: ${fault.message}`;
}

type Decoded =
  | { faults: Misread[]; manifest?: undefined }
  | { faults: []; manifest: Manifest; positions: Positions };

function decodeDocument(document: Document.Parsed): Decoded {
  // One mistake of syntax brings many after it; the first few say what there is to say.
  const broken = [...document.errors, ...document.warnings].slice(0, 5);
  if (broken.length) {
    return {
      faults: broken.map((error) => ({ offset: error.pos[0], path: "", message: plain(error.message) })),
    };
  }
  const root = document.contents;
  if (root === null || (isScalar(root) && root.value === null)) return { faults: [] };
  if (!isMap(root)) {
    const { message } = expected("a map with `kind` and the fields of that kind", root);
    return { faults: [{ offset: root.range[0], path: "", message }] };
  }
  return decodeRoot(document, root as YAMLMap.Parsed);
}

function decodeRoot(document: Document.Parsed, root: YAMLMap.Parsed): Decoded {
  const kind = readKind(root);
  if ("message" in kind) return { faults: [{ ...kind, path: "kind" }] };
  const reader = new MessageReader(document);
  const positions = new Positions(root.range[0]);
  const spec = reader.read(kind.desc, root, positions, ["kind"]);
  const faults = [...reader.faults, ...ruleFaults(kind.desc, spec, positions, reader.faults)];
  if (faults.length) return { faults };
  // The case and the descriptor of its value come from one field of the oneof.
  const chosen = { case: kind.name, value: spec } as Manifest["kind"];
  return { faults: [], manifest: create(ManifestSchema, { kind: chosen }), positions };
}

type Kind = { name: string; desc: DescMessage };

function readKind(root: YAMLMap.Parsed): Kind | { offset: number; message: string } {
  const kinds = new Map<string, Kind>();
  for (const field of ManifestSchema.fields) {
    const name = field.jsonName;
    if (field.message) kinds.set(name[0]?.toUpperCase() + name.slice(1), { name, desc: field.message });
  }
  const allowed = [...kinds.keys()];
  const pair = root.items.find(({ key }) => isScalar(key) && key.value === "kind");
  if (pair === undefined) {
    return { offset: root.range[0], message: `is missing; it is one of ${allowed.join(", ")}` };
  }
  const offset = pair.value?.range[0] ?? pair.key.range[0];
  const text = readScalar(ScalarType.STRING, pair.value);
  if (!text.ok) return { offset, message: text.message };
  const kind = kinds.get(String(text.value));
  return (
    kind ?? {
      offset,
      message: `there is no kind ${quote(text.value)}${hintFor(String(text.value), allowed)}`,
    }
  );
}

// The rules of the proto file. What was refused already is not refused once more for being absent, and of a
// document with faults only what was written is judged.
function ruleFaults(desc: DescMessage, spec: Message, positions: Positions, misread: Misread[]): Misread[] {
  return checkMessage(desc, spec)
    .filter(({ field }) => misread.length === 0 || positions.has(field))
    .filter(({ field }) => !misread.some(({ path }) => path.startsWith(field)))
    .map(({ field, description }) => ({ offset: positions.find(field), path: field, message: description }));
}

function claimName(
  places: Map<string, string>,
  { kind }: Manifest,
  file: string,
  position: Position,
): Fault | undefined {
  const key = `${kind.case}/${kind.value?.name}`;
  const first = places.get(key);
  if (first === undefined) {
    places.set(key, `${file}:${position.line}:${position.column}`);
    return undefined;
  }
  const message = `there is already a ${kind.case} ${quote(kind.value?.name)}, at ${first}; rename or remove one`;
  return { file, ...position, path: "name", message };
}

// Sentences of the YAML parser, to stand after a place.
function plain(message: string): string {
  return `this is not valid YAML: ${message.trim()}`;
}
