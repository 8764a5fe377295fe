// Pages of what a List call found. A page token says where the next page begins, and is good for the same call
// with the same filter only; pages stay right while things come and go between them.
import { createHash } from "node:crypto";
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type Fields, type Filter, parseFilter } from "../../proto/filter/filter.ts";
import { FilterError } from "../../proto/filter/filter-error.ts";
import { invalidField } from "./context.ts";

export type PageRequest = { pageSize: number; pageToken: string; filter: string };
export type Page<T> = { items: T[]; nextPageToken: string };

const defaultSize = 100;
const largestSize = 1000;
/** A page ends early rather than outgrow what one gRPC message may hold. */
const bytesLimit = 4 << 20;

type Items<Desc extends DescMessage> = Iterable<MessageShape<Desc>> | AsyncIterable<MessageShape<Desc>>;

export type ListOf<Desc extends DescMessage> = {
  method: DescMethodUnary;
  /** What is listed within, such as a deployment; part of what the token is bound to. */
  parent?: string;
  schema: Desc;
  fields: Fields<MessageShape<Desc>>;
  /** In the order of their keys, which are unique; or what reads them from where the page begins. */
  items: Items<Desc> | ((start: string | undefined, exact: ReadonlyMap<string, string>) => Items<Desc>);
  key: (item: MessageShape<Desc>) => string;
  descending?: boolean;
};

export async function pageOf<Desc extends DescMessage>(
  request: PageRequest,
  list: ListOf<Desc>,
): Promise<Page<MessageShape<Desc>>> {
  const { schema, items, key, descending } = list;
  const { passes, exact } = filterOf(request.filter, list.fields);
  const bound = `${list.method.parent.typeName}/${list.method.name} ${list.parent ?? ""} ${request.filter}`;
  const start = readToken(request.pageToken, bound);
  const isAfter = (at: string) => start === undefined || (descending ? at < start : at > start);
  const size = Math.min(request.pageSize || defaultSize, largestSize);
  const page: MessageShape<Desc>[] = [];
  let bytes = 0;
  for await (const item of typeof items === "function" ? items(start, exact) : items) {
    if (!isAfter(key(item)) || !passes(item)) continue;
    const last = page.at(-1);
    bytes += toBinary(schema, create(schema, item)).length;
    if (last && (page.length === size || bytes > bytesLimit))
      return { items: page, nextPageToken: writeToken(key(last), bound) };
    page.push(item);
  }
  return { items: page, nextPageToken: "" };
}

function filterOf<T>(filter: string, fields: Fields<T>): Filter<T> {
  try {
    return parseFilter(filter, fields);
  } catch (error) {
    if (error instanceof FilterError) throw invalidField("INVALID_FILTER", "filter", error.message);
    throw error;
  }
}

/** `KEY` after a digest of what it is bound to. */
function writeToken(key: string, bound: string): string {
  return Buffer.concat([digestOf(bound), Buffer.from(key)]).toString("base64url");
}

function readToken(token: string, bound: string): string | undefined {
  if (!token) return undefined;
  const bytes = Buffer.from(token, "base64url");
  const digest = digestOf(bound);
  if (bytes.subarray(0, digest.length).equals(digest) && bytes.toString("base64url") === token)
    return bytes.subarray(digest.length).toString();
  const description =
    "it is not from an answer to this call with this filter: begin again with an empty pageToken";
  throw invalidField("INVALID_PAGE_TOKEN", "pageToken", description);
}

function digestOf(bound: string): Buffer {
  return createHash("sha256").update(bound).digest().subarray(0, 8);
}
