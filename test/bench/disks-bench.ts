// `npm run bench -- disks`: planning a fleet's disks, and applying one plan against a shell script of the same
// commands in alternation. Needs root for its loop devices.
import { measurePlanning } from "./disks.ts";
import { measureApply } from "./disks-apply.ts";

const bars = { planSeconds: 5, applyRatio: 1.15 };

/** True if both bars are met. */
export async function disks(): Promise<boolean> {
  const { nodes, seconds } = measurePlanning();
  console.log(`${nodes} nodes planned in ${seconds.toFixed(2)} s`);
  const apply = await measureApply();
  console.log(
    `layout ${apply.layout}, ${apply.rounds} rounds: agent ${apply.agentSeconds} s, shell ${apply.shellSeconds} s`,
  );
  const figures = {
    plan_10000_nodes_s: Number(seconds.toFixed(2)),
    apply_ratio_vs_shell: apply.apply_ratio_vs_shell,
  };
  console.log(`RESULT ${JSON.stringify(figures)}`);
  return seconds < bars.planSeconds && apply.apply_ratio_vs_shell <= bars.applyRatio;
}
