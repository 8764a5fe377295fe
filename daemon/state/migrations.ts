// The versions of the database's layout, and the way from each to the next. A migration is one synced batch: it
// is done or it is not, and what was interrupted is begun anew at the next start.
import { fromBinary } from "@bufbuild/protobuf";
import packageJson from "../../package.json" with { type: "json" };
import { ResourceSchema, WatchResponseSchema } from "../../proto/gen/muster/v1/watch_pb.ts";
import { Census } from "./census.ts";
import { damaged, StoreError } from "./errors.ts";
import { below, type Database, pages, seal, unseal } from "./records.ts";

type Batch = ReturnType<Database["batch"]>;

/** The first takes version 1 to version 2, and so on. */
const migrations: ((database: Database, batch: Batch) => Promise<void>)[] = [addChecksums];

export const schemaVersion = migrations.length + 1;

/** Brings the database to this muster's version of the layout. */
export async function migrate(database: Database): Promise<void> {
  const found = await storedVersion(database);
  if (found === undefined) return begin(database);
  refuseNewer("the state", found);
  for (let version = found; version < schemaVersion; version++) {
    const batch = database.batch();
    await migrations[version - 1]?.(database, batch);
    batch.put(...head("schema", version + 1));
    await batch.write({ sync: true });
  }
}

export function refuseNewer(what: string, version: number): void {
  if (version <= schemaVersion) return;
  throw new StoreError(
    "newer",
    `${what} is of version ${version}, this muster knows ${schemaVersion} (muster ${packageJson.version}): ` +
      "use the muster that wrote it, or a newer one",
  );
}

/** Key and value of an entry of the head. */
export function head(name: string, value: bigint | number | string): [string, Uint8Array] {
  return [`m/${name}`, seal(`m/${name}`, Buffer.from(`${value}`))];
}

export async function readHead(database: Database, name: string): Promise<string> {
  const value = await database.get(`m/${name}`);
  if (!value) throw damaged(`record m/${name} is missing`);
  return Buffer.from(unseal(`m/${name}`, value)).toString();
}

/** Undefined for a new database. */
async function storedVersion(database: Database): Promise<number | undefined> {
  const value = await database.get("m/schema");
  if (value) {
    // Version 1 had no checksums.
    const text = Buffer.from(value.length === 1 ? value : unseal("m/schema", value)).toString();
    if (/^[1-9]\d*$/.test(text)) return Number(text);
    throw damaged("record m/schema is damaged (it is no number)");
  }
  for await (const [key] of pages(database.keys({ limit: 1 }))) {
    throw damaged(`the database has a record ${key} but no m/schema`);
  }
  return undefined;
}

async function begin(database: Database): Promise<void> {
  const batch = database.batch();
  batch.put(...head("schema", schemaVersion));
  batch.put(...head("revision", 0));
  batch.put(...head("epoch", 1));
  batch.put(...head("census", `${new Census()}`));
  await batch.write({ sync: true });
}

/** To version 2: every value gets a checksum, the head an epoch and a census. */
async function addChecksums(database: Database, batch: Batch): Promise<void> {
  const census = new Census();
  for (const [prefix, schema] of [
    ["r/", ResourceSchema],
    ["c/", WatchResponseSchema],
  ] as const) {
    for await (const page of pages(database.iterator(below(prefix)))) {
      for (const [key, content] of page) {
        // Damage must not get a good checksum.
        try {
          fromBinary(schema, content);
        } catch (cause) {
          throw damaged(`record ${key} is damaged (it cannot be decoded)`, cause);
        }
        const value = seal(key, content);
        census.put(key, value);
        batch.put(key, value);
      }
    }
  }
  const revision = await database.get("m/revision");
  batch.put(...head("revision", revision ? Buffer.from(revision).toString() : 0));
  batch.put(...head("epoch", 1));
  batch.put(...head("census", `${census}`));
}
