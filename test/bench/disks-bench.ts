// `npm run bench -- disks`: planning a fleet's disks, and applying one plan against a shell script of the same
// commands in alternation, in a machine of its own.
import { measurePlanning } from "./disks.ts";
import { measureInMachine } from "./disks-machine.ts";

const bars = { planSeconds: 5, applyRatio: 1.15 };

/** True if both bars are met. */
export async function disks(): Promise<boolean> {
  const { nodes, seconds } = measurePlanning();
  console.log(`${nodes} nodes planned in ${seconds.toFixed(2)} s`);
  const { layout, rounds, agentSeconds, shellSeconds, ratio } = await measureInMachine((line) =>
    console.log(`  ${line}`),
  );
  console.log(
    `layout ${layout}, ${rounds} rounds: agent ${agentSeconds.toFixed(2)} s, shell ${shellSeconds.toFixed(2)} s`,
  );
  const figures = {
    plan_10000_nodes_s: Number(seconds.toFixed(2)),
    apply_ratio_vs_shell: Number(ratio.toFixed(3)),
  };
  console.log(`RESULT ${JSON.stringify(figures)}`);
  return seconds < bars.planSeconds && ratio <= bars.applyRatio;
}
