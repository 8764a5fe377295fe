// The steps that have a log, newest first; and the log of one step, with what the step has changed.
import type { Step } from "../../proto/gen/muster/v1/deployment_pb.ts";
import { clock, elapsed, timeMs } from "../format.ts";
import { changeLines } from "../task-changes.ts";
import { isCheck, isJoin, stepWord } from "../words.ts";
import { line, type Row, rule, type Scene, type Screen, tableLines, toned } from "./lines.ts";

export function logsScreen(scene: Scene): Screen {
  const begun = (step: Step) => timeMs(step.startTime) ?? 0;
  const steps = [...scene.world.steps.values()]
    .filter((step) => begun(step) && !isJoin(step))
    .sort((a, b) => begun(b) - begun(a));
  const rows = steps.map((step): Row => {
    const { word, tone } = stepWord(step, scene.world.deployments.get(step.deployment));
    const took = elapsed(step.startTime, step.endTime, scene.now);
    return {
      cells: [
        clock(begun(step)),
        step.name,
        toned(scene.glyphs, word, tone),
        took,
        step.reason || step.result,
      ],
      target: { kind: "step", name: step.name },
    };
  });
  const columns = [
    { title: "STARTED" },
    { title: "STEP" },
    { title: "STATE" },
    { title: "TIME", right: true },
    { title: "RESULT" },
  ];
  const { head, body } = tableLines(columns, rows, scene.width);
  return { title: "Logs", head: [head], body: body.length ? body : [line("no step has begun yet", "dim")] };
}

/** What the tail of a log has brought so far. */
export type LogText = { lines: readonly string[]; ended: boolean; error: string };

export function logScreen(scene: Scene, name: string, log: LogText, following: boolean): Screen {
  const step = scene.world.steps.get(name);
  const { word, tone } = step
    ? stepWord(step, scene.world.deployments.get(step.deployment))
    : { word: "unknown", tone: "warn" as const };
  const attempt = step ? `attempt ${step.attempt}` : "";
  const follow = log.ended ? "ended" : following ? "following" : "held, f follows";
  const head = {
    segments: [
      toned(scene.glyphs, word, tone),
      { text: `   ${attempt}   ` },
      { text: follow, tone: "dim" as const },
    ],
  };
  const body = log.lines.map((text) => line(text));
  if (log.error) body.push(line(log.error, "fail"));
  else if (log.ended) body.push(line(body.length ? "end of log" : "the log is empty", "dim"));
  if (step?.changes.length) {
    const check = isCheck(scene.world.deployments.get(step.deployment));
    body.push(rule(scene, check ? "Would change" : "Changed"));
    body.push(...changeLines(step.changes).map((change) => line(change.text, change.tone)));
  }
  return { title: `Log › ${name}`, head: [head], body };
}
