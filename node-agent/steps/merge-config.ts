// A configuration file that is merged from layers, each a template: what comes later wins.
import { mergeIni } from "../merge-ini.ts";
import { mergeYaml } from "../merge-yaml.ts";
import { filesDone, placeFile } from "../place-file.ts";
import { readBelow, readSource } from "../source-files.ts";
import type { ActionOf, Step, StepContext } from "../step.ts";
import { type Templates, templatesOf } from "../template.ts";

type ConfigLayer = ActionOf<"mergeConfig">["layers"][number];

export const mergeConfig: Step<"mergeConfig"> = async (action, context) => {
  const { path, format, layers } = action;
  const templates = await templatesOf(context);
  const texts = [];
  for (const [index, layer] of layers.entries()) {
    const name = layer.source || `layers[${index}]`;
    const found = await textOf(layer, name, templates, context);
    if (found) texts.push({ ...found, text: templates.render(found.name, found.text) });
    else context.log(`${name} is left out: there is no such file`);
  }
  const merged = format === "yaml" ? mergeYaml(texts) : mergeIni(texts);
  const change = await placeFile({ ...action, content: Buffer.from(merged) }, context);
  return filesDone([path], change ? [change] : [], context.check);
};

/** Undefined if there is no such file, and there need not be. */
async function textOf(
  { content, source, tree, optional }: ConfigLayer,
  name: string,
  templates: Templates,
  context: StepContext,
): Promise<{ name: string; text: string } | undefined> {
  if (!source) return { name, text: content };
  if (!tree) {
    if (optional && context.inputs.sources[source] === undefined) return undefined;
    return { name, text: (await readSource(source, context)).toString() };
  }
  const path = templates.render(name, source);
  const file = await readBelow(tree, path, context);
  if (file) return { name: `${tree}/${path}`, text: file.toString() };
  if (optional) return undefined;
  throw new Error(
    `there is no ${path} in ${tree}; add it beside the manifest, or say that the layer is optional`,
  );
}
