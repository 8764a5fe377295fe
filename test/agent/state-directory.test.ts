// State directories that only root can make: on a read-only file system, of another user, on a full disk.
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { commit, node, openStore } from "../../daemon/state/testing/records.ts";

const root = join(import.meta.dirname, "../..");
let stateDir: string;
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "muster-state-"));
});
afterEach(() => rm(stateDir, { recursive: true, force: true }));

/** Runs a script in a mount namespace of its own: its mounts end with it. */
function shell(script: string): Promise<{ code: number | null; err: string }> {
  const daemon = `${process.execPath} ${root}/daemon/main.ts --http-port 0 --enroll-port 0 --agent-port 0 --delivery-port 0 --delivery-http-port 0`;
  const env = { ...process.env, DIR: stateDir, DAEMON: daemon, NODE: process.execPath, ROOT: root };
  return new Promise((resolve) => {
    const child = execFile(
      "unshare",
      ["-m", "sh", "-euc", script],
      { env, timeout: 30_000 },
      (_, _out, err) => resolve({ code: child.exitCode, err }),
    );
  });
}

it("a daemon on a read-only file system exits with 14", async () => {
  const { code, err } = await shell(
    'mount --bind "$DIR" "$DIR"; mount -o remount,ro,bind "$DIR"; exec $DAEMON --state-dir "$DIR"',
  );
  expect(err).toMatch(/^muster daemon: the state directory .* is on a read-only file system/);
  expect(code).toBe(14);
});

it("a daemon on another user's state directory exits with 13", async () => {
  const { code, err } = await shell(
    'chmod 700 "$DIR"; exec setpriv --reuid 65534 --regid 65534 --clear-groups $DAEMON --state-dir "$DIR"',
  );
  expect(err).toMatch(/^muster daemon: the state directory .* may not be read and written by this user/);
  expect(code).toBe(13);
});

it("a store on a disk that fills up says so, and has all that it has acknowledged when there is room again", async () => {
  const { code, err } = await shell(`
    mkdir "$DIR/small"
    mount -t tmpfs -o size=3m none "$DIR/small"
    "$NODE" "$ROOT/daemon/state/testing/committer.ts" "$DIR/small" > "$DIR/acknowledged" 2> "$DIR/error" || true
    cat "$DIR/error" >&2
    cp -r "$DIR/small" "$DIR/room"
    "$NODE" "$ROOT/daemon/state/testing/committer.ts" "$DIR/room" | head -n 1 > "$DIR/next"
    test "$(tail -n 1 "$DIR/acknowledged")" -lt "$(cat "$DIR/next")"
  `);
  expect(err).toMatch(/cannot be written \(.*No space left on device\): make room on its disk/);
  expect(code).toBe(0);
});

it("a store goes on where it was once it may be written again", async () => {
  {
    await using store = await openStore(stateDir);
    await commit(store, node("n1"));
  }
  await shell('mount --bind "$DIR" "$DIR"; mount -o remount,ro,bind "$DIR"; exec $DAEMON --state-dir "$DIR"');
  await using store = await openStore(stateDir);
  expect(store.state.nodes.size).toBe(1);
});
