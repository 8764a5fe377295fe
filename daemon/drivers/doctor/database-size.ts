// Check `database-size`: all records are in memory too, so a database that grows is noticed here first.
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { formatBytes } from "../../../proto/render/bytes.ts";
import { type Check, ok, warning } from "./check.ts";

const limitBytes = 2 * 1024 ** 3;

export const databaseSize: Check = {
  name: "database-size",
  run: async ({ stateDir }) => {
    const directory = join(stateDir, "db");
    const names = await readdir(directory);
    const sizes = await Promise.all(
      // Files come and go while the database works.
      names.map(async (name) => (await stat(join(directory, name)).catch(() => undefined))?.size ?? 0),
    );
    const size = sizes.reduce((sum, one) => sum + one, 0);
    const text = `the database has ${formatBytes(size)} in ${names.length} files`;
    const remedy =
      "delete clusters and nodes that are no more (their history goes with them), then restart the daemon";
    return [size > limitBytes ? warning(text, remedy) : ok(text)];
  },
};
