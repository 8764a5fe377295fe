// The state directory of runs whose machines are new every time. What a daemon knew of earlier machines is
// removed from it, so it must never be one that somebody relies on.
import { existsSync, mkdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { repository } from "./muster.ts";
import { readOwner, supervisorRuns } from "./rack.ts";

const markerText = "Made for throw-away machines: its database is deleted at every run.\n";

/** MUSTER_STATE_DIR or .muster, without the records of earlier runs. Images, caches and keys stay. */
export function freshStateDirectory(): string {
  const directory = process.env.MUSTER_STATE_DIR ?? path.join(repository, ".muster");
  mkdirSync(directory, { recursive: true });
  const stateDir = realpathSync(directory);
  const owner = readOwner();
  if (owner?.stateDir === stateDir && supervisorRuns(owner)) {
    throw new Error(
      `a rack is up in ${stateDir} (pid ${owner.supervisor.pid}); end it with \`muster lab down\``,
    );
  }
  const marker = path.join(stateDir, "throw-away");
  const database = path.join(stateDir, "db");
  if (existsSync(database) && !existsSync(marker)) {
    throw new Error(
      `${stateDir} holds the state of a daemon, which this run would delete: set MUSTER_STATE_DIR to another`,
    );
  }
  writeFileSync(marker, markerText);
  // With what says how far the database had come: without its database that means a loss. And with the logs of its
  // deployments, as those to come have the same names.
  for (const gone of [database, `${database}.revision`, path.join(stateDir, "logs")])
    rmSync(gone, { recursive: true, force: true });
  return stateDir;
}
