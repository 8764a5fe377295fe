// All keys; those that cannot be used where the help was opened say why.
import { type Binding, keymap, keyName, type Place } from "../keymap.ts";
import { blank, type Line, line, rule, type Scene, type Screen } from "./lines.ts";

const groups = { screens: "Screens", moving: "Moving", doing: "Doing" } as const;

export function helpScreen(scene: Scene, place: Place): Screen {
  const body: Line[] = [];
  for (const [group, title] of Object.entries(groups)) {
    body.push(rule(scene, title));
    body.push(
      ...keymap.filter((binding) => binding.group === group).map((binding) => keyLine(binding, place)),
    );
    body.push(blank);
  }
  const { glyphs } = scene;
  const legend = [
    `${glyphs.ok} good`,
    `${glyphs.busy} at work`,
    `${glyphs.warn} look`,
    `${glyphs.fail} failed`,
    `${glyphs.idle} not yet`,
  ];
  return { title: "Help", head: [line(legend.join("   "))], body };
}

function keyLine(binding: Binding, place: Place): Line {
  const why = binding.refusal?.(place) ?? "";
  return {
    segments: [
      { text: keyName(binding).padEnd(14), bold: !why, tone: why ? "dim" : "plain" },
      { text: binding.label.padEnd(14), tone: why ? "dim" : "plain" },
      { text: why && `not here: ${why}`, tone: "dim" },
    ],
  };
}
