// What an importer of task graphs makes: manifests as plain data, and what it could not carry over.

/** Where something stands in the file that is imported. */
export type Place = { file: string; line: number };

/**
 * What an operator should know of one thing that was imported. `differs`: it is there, but not in every way as it was.
 * `lost`: nothing is done in its place.
 */
export type Note = Place & { subject: string; message: string; degree: "differs" | "lost" };

/** One manifest, with the lines that stand above it as comments. */
export type ImportedDocument = { kind: "Task" | "Graph" | "Role"; comments: string[]; spec: TaskLike };

/** A spec in the words of its manifest. */
export type TaskLike = { name: string } & Record<string, unknown>;

export type Imported = {
  documents: ImportedDocument[];
  notes: Note[];
  /** For the top of the file: what has to be done beside it. */
  remarks: string[];
  /** How many things there were, and how many of them are as they were, different, or lost. */
  tally: { all: number; whole: number; differing: number; lost: number };
};

/** Nothing can be made of it; each reason is `FILE:LINE: WHY`. */
export class ImportRefusal extends Error {
  override name = "ImportRefusal";
  readonly reasons: string[];

  constructor(reasons: string[]) {
    super(reasons.join("\n"));
    this.reasons = reasons;
  }
}

export function tallyOf(subjects: readonly string[], notes: readonly Note[]): Imported["tally"] {
  const lost = new Set(notes.filter(({ degree }) => degree === "lost").map(({ subject }) => subject));
  const noted = new Set(notes.map(({ subject }) => subject));
  const whole = subjects.filter((subject) => !noted.has(subject)).length;
  return { all: subjects.length, whole, differing: subjects.length - whole - lost.size, lost: lost.size };
}
