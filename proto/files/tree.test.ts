import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { type TreeEntrySchema, TreeSchema } from "../gen/muster/v1/files_pb.ts";
import { packedTree, treeFault } from "./tree.ts";

type Entry = MessageInitShape<typeof TreeEntrySchema>;
const digest = "ab".repeat(32);
const file = (path: string, more: Entry = {}): Entry => ({
  path,
  mode: 0o644,
  kind: { case: "file", value: { digest, sizeBytes: 1n } },
  ...more,
});
const directory = (path: string): Entry => ({ path, mode: 0o755, kind: { case: "directory", value: {} } });
const faultOf = (...entries: Entry[]) => treeFault(create(TreeSchema, { entries }));

it("is in order, each entry below a directory of it", () => {
  expect(faultOf()).toBeUndefined();
  expect(faultOf(file("a"), directory("b"), file("b-c"), file("b/..c"), file("b/c d"))).toBeUndefined();
});

it.each<[string, Entry[], RegExp]>([
  ["leaves its directory", [file("../etc/passwd")], /"..\/etc\/passwd" is not a plain relative path/],
  ["leaves it further down", [directory("a"), file("a/../../b")], /plain relative/],
  ["is absolute", [file("/etc/passwd")], /plain relative/],
  ["has no name", [file("")], /plain relative/],
  ["has an empty name", [directory("a"), file("a//b")], /plain relative/],
  ["names the directory itself", [file(".")], /plain relative/],
  ["has a zero byte", [file("a\0b")], /plain relative/],
  ["has a long name", [file("a".repeat(256))], /plain relative/],
  ["has a directory that is not there", [file("etc/passwd")], /not below a directory of the tree/],
  ["has a file for a directory", [file("etc"), file("etc/passwd")], /not below a directory of the tree/],
  [
    "goes through a link",
    [{ path: "etc", kind: { case: "link", value: "/etc" } }, file("etc/passwd")],
    /not below a directory of the tree/,
  ],
  ["has a path twice", [file("a"), file("a")], /comes twice/],
  ["is out of order", [file("b"), file("a")], /not in order/],
  ["has more than permissions", [file("a", { mode: 0o100644 })], /permission bits/],
  ["has no digest", [file("a", { kind: { case: "file", value: { digest: "../x" } } })], /no sha256/],
  ["has a link to nowhere", [{ path: "a", kind: { case: "link", value: "" } }], /no target/],
  ["is nothing", [{ path: "a" }], /neither file, link nor directory/],
])("one that %s is refused", (_, entries, words) => {
  expect(faultOf(...entries)).toMatch(words);
});

it("has the digest of its bytes: the same for the same tree, another for any other", () => {
  const pack = (...entries: Entry[]) => packedTree(create(TreeSchema, { entries })).digest;
  expect(pack(file("a"))).toBe(pack(file("a")));
  expect(pack(file("a"))).not.toBe(pack(file("a", { mode: 0o755 })));
});
