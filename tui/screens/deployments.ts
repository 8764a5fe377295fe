// The table of deployments, newest first.
import { clock, elapsed, timeMs } from "../format.ts";
import { stepsOf } from "../model.ts";
import { countSteps, deploymentState, runText } from "../words.ts";
import { line, type Row, type Scene, type Screen, tableLines, toned } from "./lines.ts";

export function deploymentsScreen(scene: Scene): Screen {
  const newest = [...scene.world.deployments.values()].sort(
    (a, b) => (timeMs(b.startTime) ?? 0) - (timeMs(a.startTime) ?? 0),
  );
  const rows = newest.map((deployment): Row => {
    const { word, tone } = deploymentState(deployment.state);
    const { done, total } = countSteps(stepsOf(scene.world, deployment));
    const start = timeMs(deployment.startTime);
    return {
      cells: [
        [deployment.name, runText(deployment)].filter(Boolean).join(" "),
        toned(scene.glyphs, word, tone),
        `${done}/${total}`,
        start === undefined ? "" : clock(start),
        elapsed(deployment.startTime, deployment.endTime, scene.now),
        deployment.reason,
      ],
      target: { kind: "deployment", name: deployment.name },
    };
  });
  const columns = ["NAME", "STATE", "STEPS", "STARTED", "TIME", "REASON"].map((title) => ({ title }));
  const { head, body } = tableLines(columns, rows, scene.width);
  const empty = [line("nothing has been deployed yet: D on a cluster of the overview", "dim")];
  return { title: "Deployments", head: [head], body: body.length ? body : empty };
}
