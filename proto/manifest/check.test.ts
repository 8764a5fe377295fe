import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ClusterSpecSchema } from "../gen/muster/v1/manifest_pb.ts";
import { GetNodeRequestSchema, PowerAction, SetNodePowerRequestSchema } from "../gen/muster/v1/node_pb.ts";
import { UploadFileActionSchema } from "../gen/muster/v1/task_pb.ts";
import { checkMessage, quote } from "./check.ts";

describe("checkMessage", () => {
  it("finds nothing in a good request", () => {
    const request = create(SetNodePowerRequestSchema, { name: "n1", action: PowerAction.CYCLE });
    expect(checkMessage(SetNodePowerRequestSchema, request)).toEqual([]);
  });

  it("refuses a call in the words in which it refuses a manifest", () => {
    expect(checkMessage(GetNodeRequestSchema, create(GetNodeRequestSchema))).toEqual([
      { field: "name", description: "is missing" },
    ]);
    const request = create(SetNodePowerRequestSchema, { name: "n1" });
    expect(checkMessage(SetNodePowerRequestSchema, request)).toEqual([
      { field: "action", description: "is missing" },
    ]);
    const upload = create(UploadFileActionSchema, { path: "motd", mode: "9" });
    expect(checkMessage(UploadFileActionSchema, upload)).toEqual([
      { field: "path", description: "is an absolute path such as /etc/motd; found `motd`" },
      { field: "mode", description: 'is an octal file mode such as "0644"; found `9`' },
    ]);
  });

  it("names the fields as manifests do", () => {
    const nodes = [{ node: "n1", role: "web", hostname: "Bad_" }];
    const cluster = create(ClusterSpecSchema, { name: "", nodes });
    expect(checkMessage(ClusterSpecSchema, cluster)).toEqual([
      {
        field: "name",
        description:
          "is 1 to 63 lower-case letters, digits and hyphens, and starts with a letter; it is missing",
      },
      {
        field: "nodes[0].hostname",
        description:
          "is 1 to 63 lower-case letters, digits and hyphens, and starts with a letter or digit; found `Bad_`",
      },
    ]);
  });

  it("quotes long values and control characters so that a message stays one line", () => {
    expect(quote("a\nb")).toBe("`a\\nb`");
    expect(quote("x".repeat(500))).toHaveLength(62);
  });
});
