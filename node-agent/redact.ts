// Takes secrets out of whatever leaves the agent: logs, results, reasons, facts, changes. A secret is looked for as
// it is, line by line if it has several, and in the forms that programs like to print it in.
import type { JsonValue } from "@bufbuild/protobuf";
import { shellQuote } from "./shell-quote.ts";

/** Shorter ones are in too many words that are none. */
const shortest = 4;
/** At which `base64` and PEM files break lines. */
const base64Lines = [76, 64];

type Form = { form: string; shown: string };

export class Redactor {
  #names = new Set<string>();
  #forms = new Map<string, Form>();
  #longest = 0;
  /** By what they begin with, longest first: a key of many lines has hundreds, and much of the text has none. */
  #starts = new Map<number, Form[]>();
  readonly #isStart = new Uint8Array(1 << 16);

  add(name: string, content: Uint8Array): void {
    if (this.#names.has(name)) return;
    this.#names.add(name);
    const shown = `[secret ${name}]`;
    for (const form of formsOf(content)) {
      if (form.length < shortest || this.#forms.has(form)) continue;
      const added = { form, shown };
      this.#forms.set(form, added);
      this.#longest = Math.max(this.#longest, form.length);
      const start = startAt(form, 0);
      this.#isStart[start] = 1;
      const alike = [...(this.#starts.get(start) ?? []), added];
      this.#starts.set(
        start,
        alike.sort((a, b) => b.form.length - a.form.length),
      );
    }
  }

  /** How many characters at the end of a text may be the beginning of a secret. */
  get overlap(): number {
    return Math.max(0, this.#longest - 1);
  }

  text(text: string): string {
    if (!this.#forms.size) return text;
    let clean = "";
    let done = 0;
    for (let at = 0; at <= text.length - shortest; at++) {
      if (!this.#isStart[startAt(text, at)]) continue;
      const found = this.#starts.get(startAt(text, at))?.find(({ form }) => text.startsWith(form, at));
      if (!found) continue;
      clean += text.slice(done, at) + found.shown;
      done = at + found.form.length;
      at = done - 1;
    }
    return done ? clean + text.slice(done) : text;
  }

  json(value: JsonValue): JsonValue {
    if (!this.#forms.size) return value;
    if (typeof value === "string") return this.text(value);
    if (Array.isArray(value)) return value.map((item) => this.json(item));
    if (typeof value !== "object" || value === null)
      return this.#isSecret(value) ? this.text(`${value}`) : value;
    const entries = Object.entries(value).map(([key, item]) => [this.text(key), this.json(item)]);
    return Object.fromEntries(entries);
  }

  /** Such as a PIN that was read as a number. */
  #isSecret(value: number | boolean | null): boolean {
    return this.#forms.has(`${value}`);
  }
}

/** Of the two characters there. */
function startAt(text: string, at: number): number {
  return ((text.charCodeAt(at) & 0xff) << 8) | (text.charCodeAt(at + 1) & 0xff);
}

function formsOf(content: Uint8Array): Set<string> {
  const bytes = Buffer.from(content);
  const text = bytes.toString();
  const forms = new Set<string>();
  for (const plain of [text, text.trim(), ...text.split("\n").map((line) => line.trim())]) {
    if (plain.length < shortest) continue;
    for (const form of [plain, encodeURIComponent(plain), formEncoded(plain), jsonEscaped(plain)])
      forms.add(form);
    forms.add(shellQuote(plain).replace(/^'|'$/g, ""));
  }
  for (const part of [bytes, Buffer.from(text.trim())]) {
    if (part.length < shortest) continue;
    for (const form of base64Forms(part)) {
      forms.add(form);
      forms.add(form.replaceAll("+", "-").replaceAll("/", "_"));
    }
  }
  return forms;
}

function formEncoded(text: string): string {
  return new URLSearchParams([["", text]]).toString().slice(1);
}

function jsonEscaped(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** On its own, broken into lines, and in the middle of something else: there are three ways for it to begin. */
function base64Forms(bytes: Buffer): string[] {
  const forms = [bytes.toString("base64")];
  const [whole = ""] = forms;
  forms.push(whole.replace(/=+$/, ""));
  for (const length of base64Lines) {
    for (let start = 0; whole.length > length && start < whole.length; start += length)
      forms.push(whole.slice(start, start + length));
  }
  for (const before of [0, 1, 2]) {
    // Characters that hold bits of what is before or after it are anyone's.
    const first = Math.ceil((before * 8) / 6);
    const last = Math.floor(((before + bytes.length) * 8) / 6);
    const padded = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64");
    forms.push(padded.slice(first, last));
  }
  return forms;
}
