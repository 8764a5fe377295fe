// Reads data of which nothing is known for certain, and says by its path what is wrong with it.
import type { ConversionFault } from "./converter.ts";

export class Raw {
  readonly value: unknown;
  readonly path: string;
  readonly #faults: ConversionFault[];

  constructor(value: unknown, path: string, faults: ConversionFault[]) {
    this.value = value;
    this.path = path;
    this.#faults = faults;
  }

  /** Absent, null, or an empty text. */
  get isEmpty(): boolean {
    return this.value === undefined || this.value === null || this.value === "";
  }

  refuse(message: string): void {
    this.#faults.push({ path: this.path || "(the whole file)", message });
  }

  field(name: string): Raw {
    const own = isRecord(this.value) && Object.hasOwn(this.value, name) ? this.value[name] : undefined;
    return new Raw(own, this.path ? `${this.path}.${name}` : name, this.#faults);
  }

  items(): Raw[] {
    if (this.isEmpty) return [];
    if (Array.isArray(this.value))
      return this.value.map((item, i) => new Raw(item, `${this.path}[${i}]`, this.#faults));
    this.refuse("is expected to be a list");
    return [];
  }

  text(otherwise = ""): string {
    if (this.isEmpty) return otherwise;
    if (typeof this.value === "string" || typeof this.value === "number") return String(this.value);
    this.refuse("is expected to be text");
    return otherwise;
  }

  /** Text that must be there. */
  need(): string {
    const text = this.text();
    if (text === "" && this.isEmpty) this.refuse("is missing");
    return text;
  }

  number(otherwise = 0): number {
    if (this.isEmpty) return otherwise;
    const number = Number(this.value);
    if (Number.isFinite(number) && typeof this.value !== "boolean") return number;
    this.refuse(`is expected to be a number; found ${JSON.stringify(this.value)}`);
    return otherwise;
  }

  flag(): boolean {
    if (this.isEmpty) return false;
    if (typeof this.value === "boolean") return this.value;
    if (this.value === 0 || this.value === 1) return this.value === 1;
    this.refuse("is expected to be true or false");
    return false;
  }

  /** Refuses every field that is not among these: what is not known cannot be left out in silence. */
  knows(...names: string[]): void {
    if (!isRecord(this.value)) {
      this.refuse("is expected to be a map");
      return;
    }
    for (const name of Object.keys(this.value)) {
      if (!names.includes(name)) this.field(name).refuse("has no counterpart in a scheme");
    }
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
