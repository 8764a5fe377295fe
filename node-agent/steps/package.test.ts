// The package step with stand-ins for dpkg-query and apt-get: the first shows a list, the second knows what is to be had
// and changes that list.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { PackageActionSchema } from "../../proto/gen/muster/v1/task_pb.ts";
import type { StepDone } from "../step.ts";
import { type TestContext, testContext } from "../step-fixture.ts";
import { packages } from "./package.ts";

const path = process.env.PATH;
let dir: string;
let context: TestContext;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "package-"));
  process.env.PATH = `${dir}:${path}`;
  const list = join(dir, "list");
  writeFileSync(
    list,
    "libc6:amd64\tlibc6\t2.36\tinstalled\nold\told\t1.0\tconfig-files\nvim\tvim\t9.0\tinstalled\n",
  );
  writeFileSync(join(dir, "dpkg-query"), `#!/bin/sh\ncat ${list}\n`, { mode: 0o755 });
  const apt = `#!/bin/sh
echo "$*" >> ${dir}/asked
case "$*" in *update*) touch ${dir}/updated; exit 0 ;; esac
simulate=; case "$*" in *--simulate*) simulate=1 ;; esac
[ -e ${dir}/interrupted ] && [ -z "$simulate" ] && { echo "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'" >&2; exit 100; }
while [ "$1" != -- ]; do shift; done; shift
for word; do
  case "$word" in
    newer) [ -e ${dir}/updated ] || { echo "E: Unable to locate package newer" >&2; exit 100; } ;;
    ghost) echo "E: Unable to locate package ghost" >&2; exit 100 ;;
  esac
done
for word; do
  name=\${word%%=*}
  case "$word" in
    *-) name=\${word%-}; echo "Remv $name [9.0]"; [ "$simulate" ] || sed -i "/^$name\\t/d" ${list} ;;
    vim=*) echo "Inst vim [9.0] (\${word#*=} Debian:12 [amd64])"; [ "$simulate" ] || sed -i "s/^vim.*/vim\\tvim\\t\${word#*=}\\tinstalled/" ${list} ;;
    virtual) ;;
    *) echo "Inst $name (1.0 Debian:12 [amd64])"; [ "$simulate" ] || printf '%s\\t%s\\t1.0\\tinstalled\\n' $name $name >> ${list} ;;
  esac
done
`;
  writeFileSync(join(dir, "apt-get"), apt, { mode: 0o755 });
  writeFileSync(join(dir, "dpkg"), `#!/bin/sh\nrm ${dir}/interrupted\n`, { mode: 0o755 });
  context = testContext({ values: { parameters: { name: "nginx" } } });
});
afterEach(() => {
  process.env.PATH = path;
  rmSync(dir, { recursive: true });
});

const asked = () => (existsSync(join(dir, "asked")) ? readFileSync(join(dir, "asked"), "utf8") : "");

async function perform(
  wanted: MessageInitShape<typeof PackageActionSchema>,
  given = context,
): Promise<StepDone> {
  const done = await packages(create(PackageActionSchema, wanted), given);
  if (typeof done === "string") throw new Error("package should say more");
  return done;
}

describe("packages", () => {
  it("that are as they should be are not touched", async () => {
    const done = await perform({
      install: ["vim", "libc6", "libc6:amd64", "vim=9.*"],
      remove: ["old", "emacs"],
    });
    expect(done.outcome).toBe(TaskOutcome.OK);
    expect(asked()).toBe("");
  });

  it("are installed and removed in one run, without any question", async () => {
    const done = await perform({ install: ["{{ parameters.name }}", "curl"], remove: ["vim"], purge: true });
    expect(done).toEqual({
      result: "install 2, remove 1: nginx, curl, vim",
      outcome: TaskOutcome.CHANGED,
      changes: [
        { what: "package nginx", action: "install", diff: "1.0\n" },
        { what: "package curl", action: "install", diff: "1.0\n" },
        { what: "package vim", action: "remove", diff: "9.0\n" },
      ],
    });
    expect(asked()).toContain("-y -q");
    expect(asked()).toContain("DPkg::Lock::Timeout=300");
    expect(asked()).toContain("install --purge -- nginx curl vim-\n");
    expect((await perform({ install: ["nginx", "curl"], remove: ["vim"] })).outcome).toBe(TaskOutcome.OK);
  });

  it("come at the version that is asked for", async () => {
    const done = await perform({ install: ["vim=8.2"] });
    expect(done.changes).toEqual([{ what: "package vim", action: "upgrade", diff: "9.0 -> 8.2\n" }]);
    expect(asked()).toContain("--allow-downgrades -- vim=8.2");
  });

  it("that are not known have the lists read anew, once", async () => {
    expect((await perform({ install: ["newer"] })).outcome).toBe(TaskOutcome.CHANGED);
    expect(asked().match(/update/g)).toHaveLength(1);
    await expect(perform({ install: ["ghost"] })).rejects.toThrow("Unable to locate package ghost");
    await expect(perform({ install: ["-o=evil"] })).rejects.toThrow("`-o=evil` is no name of a package");
  });

  it("that others stand for change nothing", async () => {
    expect(await perform({ install: ["virtual"] })).toMatchObject({ outcome: TaskOutcome.OK });
  });

  it("are brought to their end after a run that was killed", async () => {
    writeFileSync(join(dir, "interrupted"), "");
    expect((await perform({ install: ["curl"] })).outcome).toBe(TaskOutcome.CHANGED);
  });

  it("are left as they are by a check, which says what apt would do", async () => {
    const check = testContext({ check: true });
    expect(await perform({ install: ["curl", "vim=8.2"] }, check)).toMatchObject({
      result: "would install 1, upgrade 1: curl, vim",
      changes: [
        { what: "package curl", action: "install" },
        { what: "package vim", action: "upgrade", diff: "9.0 -> 8.2\n" },
      ],
    });
    expect(await perform({ install: ["newer"], update: true }, check)).toMatchObject({
      result: "would install newer, if newer lists of packages have it",
    });
    expect(asked()).not.toContain("update");
    expect(
      asked()
        .trim()
        .split("\n")
        .every((line) => line.includes("--simulate")),
    ).toBe(true);
  });
});
