import { create, type DescField } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { describe, expect, it } from "vitest";
import { type PlannedStep, PlannedStepSchema, Purpose } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { planStep, sealPlan } from "./planned.ts";

const hashOf = (step: PlannedStep) =>
  sealPlan({ cluster: "demo", purpose: Purpose.DEPLOY, nodes: [], steps: [step] }).hash;

/** A step in which only this field says anything; its digest follows from what it is to do. */
function only(field: DescField): PlannedStep {
  const message = reflect(PlannedStepSchema);
  if (field.fieldKind === "list") message.get(field).add("n1/x");
  else if (field.name === "action") {
    return planStep({ node: "", task: "", action: { kind: { case: "shell", value: { command: "true" } } } });
  } else if (field.name === "inputs") return planStep({ node: "", task: "", inputs: { testPre: "true" } });
  else if (field.name === "timeout" || field.name === "interval") {
    return create(PlannedStepSchema, { [field.localName]: { nanos: 1 } });
  } else if (field.fieldKind === "scalar") {
    const { scalar } = field;
    const values: Partial<Record<typeof scalar, unknown>> = { 8: true, 9: "x", 13: 1, 1: 1.5 };
    message.set(field, values[scalar]);
  }
  return message.message as PlannedStep;
}

describe("the hash of a plan", () => {
  it.each(PlannedStepSchema.fields.map((field): [string, DescField] => [field.name, field]))(
    "is another one with another %s of a step",
    (_, field) => {
      const bare =
        field.name === "action" || field.name === "inputs"
          ? planStep({ node: "", task: "" })
          : create(PlannedStepSchema);
      expect(hashOf(only(field))).not.toBe(hashOf(bare));
      expect(hashOf(only(field))).toBe(hashOf(only(field)));
    },
  );
});
