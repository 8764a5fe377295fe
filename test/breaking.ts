// Compares the protocol with main's: a change that old clients or stored data would not survive fails.
import { execFileSync, spawnSync } from "node:child_process";

const contract = "proto/muster";

function git(...args: string[]): string | undefined {
  try {
    return execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return undefined;
  }
}

function nothingToCompare(why: string): never {
  console.log(`breaking: nothing to compare: ${why}`);
  process.exit(0);
}

const directory =
  git("rev-parse", "--path-format=absolute", "--git-common-dir") ??
  nothingToCompare("this is not a git checkout");
const main =
  git("rev-parse", "--verify", "--quiet", "refs/heads/main") ??
  git("rev-parse", "--verify", "--quiet", "refs/remotes/origin/main") ??
  nothingToCompare("there is no branch main");
if (!git("ls-tree", main, contract)) nothingToCompare(`main has no ${contract} yet`);

const { status } = spawnSync("buf", ["breaking", "--against", `${directory}#ref=${main}`], {
  stdio: "inherit",
});
if (status === 0) console.log(`breaking: compatible with main (${main.slice(0, 12)})`);
process.exitCode = status ?? 1;
