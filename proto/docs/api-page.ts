// docs/api.md: the API as the proto files describe it, with the filters and the reasons of errors.
import {
  attemptFields,
  clusterFields,
  deploymentFields,
  documentFields,
  eventFields,
  fetchedFileFields,
  imageFields,
  secretFields,
  stepFields,
} from "../filter/fields.ts";
import type { Fields } from "../filter/filter.ts";
import type { Field } from "../filter/match.ts";
import { nodeFields } from "../filter/node-fields.ts";
import { reasons } from "../rpc/reasons.ts";
import type { Enum, Message, ProtoFile, Rpc, Service } from "./comments.ts";

/** In the order in which they are read. What only the daemon's store holds is not part of the API. */
const order = [
  "node",
  "cluster",
  "deployment",
  "image",
  "secret",
  "files",
  "run",
  "watch",
  "daemon",
  "agent",
  "delivery",
];
const shared = ["step", "task", "erase", "disk_plan", "inventory", "manifest"];

export function apiPage(files: readonly ProtoFile[]): string {
  const pick = (names: string[]) =>
    names.flatMap((name) => files.filter((file) => file.name === `muster/v1/${name}.proto`));
  const own = pick(order);
  const rpcs = own.flatMap(({ services }) => services).flatMap((service) => service.rpcs);
  const wrappers = new Set(rpcs.flatMap(({ request, response }) => [request, response]));
  const messages = new Map(own.flatMap((file) => file.messages).map((message) => [message.name, message]));
  const parts = [
    introduction,
    ...own.flatMap((file) => file.services.map((service) => serviceText(file, service, messages))),
    "## Filters",
    filterText,
    ...filterTables.map(([title, fields]) => fieldTable(title, fields)),
    "## Errors",
    reasonText,
    reasonTable(),
    "## Messages",
    ...[...own, ...pick(shared)].flatMap((file) => typesOf(file, wrappers)),
  ];
  return `${parts.join("\n\n")}\n`;
}

function serviceText(file: ProtoFile, service: Service, messages: Map<string, Message>): string {
  const rpcs = service.rpcs.map((rpc) => rpcText(rpc, messages));
  return [`## ${service.name}`, service.comment || file.comment, ...rpcs].filter(Boolean).join("\n\n");
}

function rpcText({ name, comment, request, response, streams }: Rpc, messages: Map<string, Message>): string {
  const title = `### ${name}`;
  const streaming = streams ? ` (a stream, ${streams === "answers" ? "of answers" : streams})` : "";
  const parts = [title, comment, `\`${request}\` → \`${response}\`${streaming}`];
  for (const [what, type] of [
    ["Asked", messages.get(request)],
    ["Answered", messages.get(response)],
  ] as const) {
    if (type?.fields.length) parts.push(`${what}:\n\n${fieldList(type)}`);
  }
  return parts.join("\n\n");
}

function typesOf({ messages, enums }: ProtoFile, without: Set<string>): string[] {
  const shown = messages.filter(({ name }) => !without.has(name));
  return [...shown.map(messageText), ...enums.map(enumText)];
}

function messageText(message: Message): string {
  const fields = message.fields.length ? fieldList(message) : "No fields.";
  return [`### ${message.name}`, message.comment, fields].filter(Boolean).join("\n\n");
}

function fieldList({ fields }: Message): string {
  return fields
    .map(({ name, type, comment, oneof }) => {
      const choice = oneof ? `, one of \`${oneof}\`` : "";
      return `- \`${name}\` (${type}${choice})${comment ? `: ${inLine(comment)}` : ""}`;
    })
    .join("\n");
}

function enumText({ name, comment, values }: Enum): string {
  const list = values.map(
    (value) => `- \`${value.name}\`${value.comment ? `: ${inLine(value.comment)}` : ""}`,
  );
  return [`### ${name}`, comment, list.join("\n")].filter(Boolean).join("\n\n");
}

const inLine = (comment: string) => comment.replaceAll("\n", " ");

const filterTables: [string, Fields<never>][] = [
  ["ListNodes", nodeFields],
  ["ListClusters", clusterFields],
  ["ListDocuments", documentFields],
  ["ListImages", imageFields],
  ["ListSecrets", secretFields],
  ["ListFetchedFiles", fetchedFileFields],
  ["ListDeployments", deploymentFields],
  ["ListSteps", stepFields],
  ["ListAttempts", attemptFields],
  ["ListEvents", eventFields],
];

function fieldTable(title: string, { fields, wordsAbout }: Fields<never>): string {
  const rows = Object.entries(fields).map(([name, field]) => `| \`${name}\` | ${meaning(field)} |`);
  const table = ["| field | what it is |", "|---|---|", ...rows].join("\n");
  return `### ${title}\n\nA bare word is looked for in ${wordsAbout}.\n\n${table}`;
}

function meaning(field: Field<never>): string {
  const values = valuesOf(field);
  return field.about ? `${values}; ${field.about}` : values;
}

function valuesOf(field: Field<never>): string {
  switch (field.kind) {
    case "text":
      return "text";
    case "flag":
      return "true or false";
    case "enum":
      return field.values.join(", ");
    case "number":
      return { count: "number", size: "size", speed: "speed" }[field.unit];
  }
}

function reasonTable(): string {
  const rows = Object.entries(reasons).map(
    ([name, { code, about }]) => `| \`${name}\` | ${code} | ${about} |`,
  );
  return ["| reason | code | meaning |", "|---|---|---|", ...rows].join("\n");
}

const introduction = `# The API

Generated from \`proto/muster/v1\` by \`npm run gen\`; do not edit. Worked examples in TypeScript, shell and Python are in
[examples/scripting](../examples/scripting).

The daemon serves gRPC: operators on the unix socket \`muster.sock\` in its state directory, nodes that want to join on
the enroll port (TLS), agents on the agent port (mutual TLS). The standard \`grpc.health.v1.Health\` is on all three, and
\`grpc.reflection.v1.ServerReflection\` on the socket if the daemon was started with \`--reflection\`.

- **Lists** come in pages: \`page_size\` 0 is 100, more than 1000 is 1000; \`next_page_token\` is empty on the last page, and
  good for the same call with the same filter only. Every list says the \`revision\` that it is as of, so that a watch can
  go on from there without a gap.
- **Changes** take a \`request_id\` of the caller's making: the same request with the same id within 24 hours is answered
  with the first answer and not done again. The 10,000 newest are remembered. A refusal is not remembered.
- **Etags** change with every change of their resource. A request that carries one is refused (ABORTED \`ETAG_MISMATCH\`) if
  the resource is no longer what the caller has seen; what deletes needs one.
- **validate_only** checks everything and changes nothing.
- **Long work** is a deployment: StartDeployment answers at once, WaitDeployment or Watch tells the rest.
- **Errors** have a gRPC code, a message for people, and in \`grpc-status-details-bin\` a google.rpc.Status with ErrorInfo
  (a \`reason\` for programs, domain \`muster\`), BadRequest (one violation per bad field, named as in JSON) or
  PreconditionFailure. Call again on UNAVAILABLE, with the same request id; on ABORTED look again first.
- **Deadlines**: give every call one. Requests have at most 8 MiB; answers about thousands of nodes are larger than the
  4 MiB that gRPC's clients take by default, so raise that (\`grpc.max_receive_message_length\`).`;

const filterText = `A filter is a list of terms, joined by \`and\` or by nothing; or by \`or\`, which binds less. \`not\` turns
the term after it round, and brackets group. These words may be written in upper or lower case. A term is \`field = value\`
or \`field != value\`; for fields that are numbers also \`<\`, \`<=\`, \`>\` and \`>=\`; or a bare word, which is looked for anywhere
in upper or lower case. A value with blanks is quoted: \`reason = "new fan"\`; \`\\"\` is a quote in it. \`*\` at either end of a
value stands for anything. An unquoted value with ranges is any of what they name: \`name = n[01-20,25]\`, \`rack[1-2]n[1-4]\`;
where things are on nodes, such a list may stand alone. A size has a unit (B, KiB, MiB, GiB, TiB, PiB, or kB, MB, GB, TB, PB),
a speed may (Mbit/s, Gbit/s). Enum values are without their prefix, in upper or lower case. A field with several values
matches if any of them does; what is not known matches nothing, so \`!=\` and \`not\` let it pass. Such as:
\`state = READY and label.rack = "r1"\`, \`memory > 64 GiB and nic.driver = ixgbe\`, \`node = n1 state != SUCCEEDED\`,
\`(role = compute or role = storage) and not online = true\`, \`subject = step/demo-*\`.`;

const reasonText = "The `reason` of ErrorInfo. It does not change; the words of the message may.";
