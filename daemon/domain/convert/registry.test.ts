import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { SchemeSpecSchema } from "../../../proto/gen/muster/v1/manifest_pb.ts";
import { ConverterRegistry, convertScheme } from "./registry.ts";

describe("an outside package", () => {
  it("registers a converter of its own, once", () => {
    const registry = new ConverterRegistry();
    const kickstart = {
      name: "kickstart",
      convert: (_: unknown, name: string) => ({
        ok: true as const,
        scheme: create(SchemeSpecSchema, { name }),
      }),
    };
    registry.register(kickstart);
    expect(registry.names()).toEqual(["native", "kickstart"]);
    expect(() => registry.register(kickstart)).toThrow("there is a converter `kickstart` already");
    const conversion = convertScheme(registry, "kickstart", {}, "x");
    expect(conversion.ok ? [] : conversion.faults[0]).toEqual({
      path: "scheme.disks",
      message: "has at least 1 item; it has 0",
    });
    expect(convertScheme(registry, "kickstat", {}, "x")).toMatchObject({
      faults: [{ message: "there is no converter `kickstat`; did you mean `kickstart`?" }],
    });
  });
});
