// The one rule of what happens to what is on a disk: exists x wanted x wipe or keep. The planner asks it for
// every partition and every volume, and docs/schemes.md shows the same table.

export type Existing = "blank" | "absent" | "same" | "differs";
export type Policy = "wipe" | "keep" | "unsaid";
export type Outcome = "nothing" | "create" | "replace" | "keep" | "destroy" | "refuse";

type Rule = { exists: Existing[]; wanted: boolean; policy: Policy[]; outcome: Outcome; words: string };

const rules: Rule[] = [
  {
    exists: ["blank", "absent"],
    wanted: false,
    policy: ["wipe", "keep", "unsaid"],
    outcome: "nothing",
    words: "nothing to do",
  },
  {
    exists: ["blank", "absent"],
    wanted: true,
    policy: ["wipe", "unsaid"],
    outcome: "create",
    words: "made",
  },
  {
    exists: ["blank"],
    wanted: true,
    policy: ["keep"],
    outcome: "create",
    words: "made: on an empty disk there is nothing to keep",
  },
  {
    exists: ["absent"],
    wanted: true,
    policy: ["keep"],
    outcome: "refuse",
    words: "refused: the disk holds something, but not what is to be kept",
  },
  {
    exists: ["same"],
    wanted: true,
    policy: ["keep"],
    outcome: "keep",
    words: "stays, with everything in it",
  },
  {
    exists: ["differs"],
    wanted: true,
    policy: ["keep"],
    outcome: "refuse",
    words: "refused, with the differences: nothing is ever grown, shrunk or moved in silence",
  },
  {
    exists: ["same", "differs"],
    wanted: true,
    policy: ["wipe", "unsaid"],
    outcome: "replace",
    words: "destroyed and made anew",
  },
  {
    exists: ["same", "differs"],
    wanted: false,
    policy: ["wipe"],
    outcome: "destroy",
    words: "destroyed",
  },
  {
    exists: ["same", "differs"],
    wanted: false,
    policy: ["keep"],
    outcome: "keep",
    words: "stays, and new things are put around it",
  },
  {
    exists: ["same", "differs"],
    wanted: false,
    policy: ["unsaid"],
    outcome: "refuse",
    words: "refused if anything beside it is kept, else destroyed",
  },
];

/** `beside`: something else in the same table or volume group is kept. */
export function decideKeep(exists: Existing, wanted: boolean, policy: Policy, beside: boolean): Outcome {
  const rule = rules.find(
    (row) => row.wanted === wanted && row.exists.includes(exists) && row.policy.includes(policy),
  );
  if (!rule) throw new Error(`no rule for ${exists}, ${wanted ? "wanted" : "not wanted"}, ${policy}`);
  return rule.outcome === "refuse" && policy === "unsaid" && !beside ? "destroy" : rule.outcome;
}

const words: Record<Existing, string> = {
  blank: "no, the disk is empty",
  absent: "no",
  same: "yes, as described",
  differs: "yes, otherwise",
};

/** The rules as a table in Markdown. */
export function keepTable(): string {
  const rows = rules.map(({ exists, wanted, policy, words: outcome }) => {
    const there = exists.map((one) => words[one]).join("; or ");
    // What is not wanted cannot be as described.
    const found = !wanted && exists.includes("same") ? "yes" : there;
    const said =
      policy.length === 3 ? "any" : policy.map((one) => (one === "unsaid" ? "not said" : one)).join(", ");
    return `| ${found} | ${wanted ? "yes" : "no"} | ${said} | ${outcome} |`;
  });
  return ["| exists | in the scheme | wipe or keep | what happens |", "|---|---|---|---|", ...rows].join(
    "\n",
  );
}
