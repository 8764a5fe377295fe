// A file from a template.
import { filesDone, placeFile } from "../place-file.ts";
import { readSource } from "../source-files.ts";
import type { Step } from "../step.ts";
import { templatesOf } from "../template.ts";

export const template: Step<"template"> = async (action, context) => {
  const { path, source } = action;
  const templates = await templatesOf(context);
  const text = source ? (await readSource(source, context)).toString() : action.content;
  const content = Buffer.from(templates.render(source || path, text));
  const validate = templates.render("validate", action.validate);
  const change = await placeFile({ ...action, content, validate }, context);
  return filesDone([path], change ? [change] : [], context.check);
};
