import { describe, expect, it } from "vitest";
import { checkExpression, evaluate } from "../conditions.ts";
import { conditionOf, legacyToYaql } from "./yaql-condition.ts";

const convert = (text: string) => {
  const { expression, reexecuteOn, settings } = conditionOf(text, (role) => [role]);
  return { expression, again: [...reexecuteOn].sort(), settings: [...settings] };
};

describe("a condition of Fuel", () => {
  it("asks for settings by their path, and for none that is not there", () => {
    const { expression, settings } = convert("$.ironic.enabled and not $.storage.get('images_ceph')");
    expect(settings).toEqual(["ironic_enabled", "storage_images_ceph"]);
    expect(checkExpression(expression)).toBeUndefined();
    const holds = (values: Record<string, string>) => evaluate(expression, { settings: values });
    expect(holds({ ironic_enabled: "true" })).toEqual({ value: true });
    expect(holds({ ironic_enabled: "true", storage_images_ceph: "true" })).toEqual({ value: false });
    expect(holds({})).toEqual({ value: false });
  });

  it("leaves what has changed to Muster, and says what it was about", () => {
    expect(convert("changedAny($.db, $.get('db_port'), $.network_metadata.vips)")).toEqual({
      expression: "",
      again: ["nodes", "settings"],
      settings: [],
    });
    expect(convert("changed($.network_metadata.nodes)").again).toEqual(["nodes"]);
    expect(convert("changed($)").again).toEqual(["nodes", "settings"]);
    // A node that is new does everything anyway.
    expect(convert("$.uid in added($.network_metadata.nodes.values()).uid")).toEqual({
      expression: "",
      again: [],
      settings: [],
    });
  });

  it("keeps what stands beside a question for changes", () => {
    expect(convert("$.extra.enabled and changedAny($.extra, ('primary-controller' in $.roles))")).toEqual({
      expression: 'has(settings.extra_enabled) && settings.extra_enabled == "true"',
      again: ["settings"],
      settings: ["extra_enabled"],
    });
    expect(convert("changed($.a) or $.b").expression).toBe("");
  });

  it("asks for the node's role", () => {
    const { expression } = convert("changed($.x) and not ('primary-controller' in $.roles)");
    expect(expression).toBe('!(node.role == "primary-controller")');
    expect(
      evaluate(convert("$.roles.any($.matches('^(primary-)?mongo'))").expression, {
        node: { role: "mongo" },
      }),
    ).toEqual({ value: true });
  });

  it("counts what a question has for what is not there", () => {
    const far = convert("$.get('source', {}).get('kind', 'own') = 'far'").expression;
    const own = convert("$.get('kind', 'own') = 'own'").expression;
    expect(evaluate(far, { settings: {} })).toEqual({ value: false });
    expect(evaluate(far, { settings: { source_kind: "far" } })).toEqual({ value: true });
    expect(evaluate(own, { settings: {} })).toEqual({ value: true });
    expect(evaluate(convert("len($.plugins) > 0").expression, { settings: { plugins: "" } })).toEqual({
      value: false,
    });
  });

  it("may be in the older words", () => {
    const { expression } = convert(
      legacyToYaql("settings:storage.images_ceph.value == true and cluster:mode != 'ha'"),
    );
    expect(evaluate(expression, { settings: { storage_images_ceph: "true", mode: "x" } })).toEqual({
      value: true,
    });
    expect(evaluate(expression, { settings: { storage_images_ceph: "true", mode: "ha" } })).toEqual({
      value: false,
    });
    expect(
      convert(legacyToYaql("settings:additional_components.heat.value and settings:common.debug.value"))
        .settings,
    ).toEqual(["heat_enabled", "debug"]);
    expect(() => legacyToYaql("release:name == 'x'")).toThrow("`release:name` has no counterpart");
  });

  it.each([
    ["not changed($.a)", "`changed(...)` below a `not` has no counterpart"],
    ["old($.public_ssl.horizon)", "`old(...)` has no counterpart"],
    ["$.network_metadata.vips.a = 1", "`$.network_metadata.vips.a` is no setting"],
    ["$.a and", "`the end` does not fit"],
    ["$.a ? $.b", "cannot be read"],
    ["($.a", "`)` is missing before `the end`"],
    ["$.a > 3", "settings are text, and have no `>`"],
  ])("that cannot be said is refused: %s", (text, message) => {
    expect(() => convert(text)).toThrow(message);
  });
});
