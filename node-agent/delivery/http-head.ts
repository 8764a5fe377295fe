// The head of an HTTP/1.1 answer, read strictly: what is not the plain answer to a GET is a fault of the source.
import { type FaultKind, SourceFault } from "./faults.ts";

export const headLimit = 16 << 10;

export type HttpHead = {
  contentLength: number;
  /** The server closes the connection after this answer. */
  closes: boolean;
};

/** `text`: everything before the empty line. Throws SourceFault for every answer but 200. */
export function parseHead(text: string): HttpHead {
  const [first = "", ...lines] = text.split("\r\n");
  const [, minor, status = ""] = /^HTTP\/1\.([01]) (\d{3})(?: .*)?$/.exec(first) ?? [];
  if (!status) throw missing(`it does not speak HTTP/1.1: ${JSON.stringify(first.slice(0, 80))}`);
  if (status !== "200") throw new SourceFault({ kind: kindOf(Number(status)), message: first.slice(9, 200) });
  const fields = new Map(lines.map((line) => split(line)));
  if (fields.has("transfer-encoding")) throw missing("it sends with a transfer-encoding");
  if (fields.has("content-encoding")) throw missing("it sends with a content-encoding");
  const length = fields.get("content-length") ?? "";
  if (!/^\d{1,15}$/.test(length)) throw missing("it does not say how long the answer is");
  const connection = fields.get("connection")?.toLowerCase() ?? "";
  const closes = minor === "0" ? connection !== "keep-alive" : connection === "close";
  return { contentLength: Number(length), closes };
}

function split(line: string): [string, string] {
  const colon = line.indexOf(":");
  if (colon <= 0) throw missing(`a line of its answer is no header: ${JSON.stringify(line.slice(0, 80))}`);
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}

function missing(message: string): SourceFault {
  return new SourceFault({ kind: "missing", message });
}

/** 429 and the 5xx pass by themselves. */
function kindOf(status: number): FaultKind {
  if (status === 401 || status === 403) return "denied";
  return status === 429 || status >= 500 ? "away" : "missing";
}
