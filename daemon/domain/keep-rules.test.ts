import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { decideKeep, type Existing, keepTable, type Policy } from "./keep-rules.ts";

const docs = readFileSync(join(import.meta.dirname, "../../docs/schemes.md"), "utf8");

describe("the rules of keeping", () => {
  it("are in the documentation as they are in the code", () => {
    expect(docs).toContain(keepTable());
  });

  it("have one answer for every case, and never destroy what shall be kept", () => {
    const existing: Existing[] = ["blank", "absent", "same", "differs"];
    const policies: Policy[] = ["wipe", "keep", "unsaid"];
    for (const exists of existing) {
      for (const wanted of [true, false]) {
        for (const policy of policies) {
          for (const beside of [true, false]) {
            const outcome = decideKeep(exists, wanted, policy, beside);
            if (policy === "keep") expect(["destroy", "replace"]).not.toContain(outcome);
            if (!wanted) expect(["create", "replace"]).not.toContain(outcome);
          }
        }
      }
    }
    expect(decideKeep("same", false, "unsaid", true)).toBe("refuse");
    expect(decideKeep("same", false, "unsaid", false)).toBe("destroy");
    expect(decideKeep("differs", true, "keep", false)).toBe("refuse");
  });
});
