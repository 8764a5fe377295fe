// Puppet's own output as it was recorded, and real runs of it where this machine has it.
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { TaskOutcome } from "../../proto/gen/muster/v1/step_pb.ts";
import { PuppetActionSchema } from "../../proto/gen/muster/v1/task_pb.ts";
import { PuppetLog, resourceOf } from "../puppet-log.ts";
import { readReport } from "../puppet-report.ts";
import type { StepContext, StepDone } from "../step.ts";
import { type Beside, filesContext } from "./files-fixture.ts";
import { puppet } from "./puppet.ts";
import { scratchDirectory } from "./scratch-fixture.ts";

const scratch = scratchDirectory("puppet-test-");
let dir: string;
beforeEach(() => {
  dir = scratch();
});

const run = async (context: StepContext, fields: object) =>
  (await puppet(create(PuppetActionSchema, fields), context)) as StepDone;

describe("the log of a run", () => {
  const entry = (level: string, source: string, message: string, more: object = {}) =>
    JSON.stringify({ level, message, source, tags: [], time: "2026-11-21T19:23:45Z", ...more });
  const motd = "/Stage[main]/Motd/File[/etc/motd]";

  it("counts the manifest's resources, and shows neither the count nor Puppet's own resources", () => {
    const log = new PuppetLog((text) => text);
    const lines = [
      "[",
      entry("info", "/Schedule[daily]", "Evaluated in 0.00 seconds"),
      ",",
      entry("info", "Class[Motd]", "Evaluated in 0.00 seconds"),
      entry("info", motd, "Starting to evaluate the resource (6 of 19)"),
      entry("notice", `${motd}/ensure`, "defined content as '{sha256}8e4b'"),
      entry("info", motd, "Evaluated in 0.01 seconds"),
    ];
    expect(lines.map((line) => log.take(line)).filter((line) => line !== undefined)).toEqual([
      `notice: ${motd}/ensure: defined content as '{sha256}8e4b'`,
    ]);
    expect(log.progress).toEqual({ done: 1, changed: 1, failed: 0, resource: "File[/etc/motd]" });
  });

  it("has errors with their places, but not Facter's", () => {
    const log = new PuppetLog((text) => text.replaceAll("/tmp/run/", ""));
    const place = { file: "/tmp/run/site.pp", line: 2, pos: 13 };
    expect(log.take(entry("err", "Puppet", "Syntax error at 'ensure'", place))).toBe(
      "err: Syntax error at 'ensure' (site.pp:2:13)",
    );
    log.take(entry("err", "Facter", "Permission denied"));
    log.take(entry("err", `${motd}/ensure`, "Could not set 'file'", place));
    expect(log.errors).toEqual(["site.pp:2:13: Syntax error at 'ensure'"]);
    expect(log.progress).toMatchObject({ changed: 0, failed: 1 });
  });

  it("keeps the difference of a file, without the names of temporary files", () => {
    const log = new PuppetLog((text) => text);
    log.take(
      entry(
        "notice",
        `${motd}/content`,
        "\n--- /etc/motd\t2026\n+++ /tmp/x\t2026\n@@ -1 +1 @@\n-old\n+new\n",
      ),
    );
    expect(log.diffs.get("File[/etc/motd]")).toBe("@@ -1 +1 @@\n-old\n+new\n");
    expect(log.progress.changed).toBe(0);
  });

  it.each([
    ["/Stage[main]/Main/Exec[/bin/false]/returns", "Exec[/bin/false]"],
    ["/Stage[main]/Nova::Compute/Nova_config[DEFAULT/debug]/value", "Nova_config[DEFAULT/debug]"],
    ["/Stage[main]/Main/Mysql::Db[nova]/Mysql_user[nova@%]", "Mysql_user[nova@%]"],
    ["/Stage[main]/Main/File[/srv/Data/A]/ensure", "File[/srv/Data/A]"],
    ["Class[Main]", "Class[Main]"],
  ])("%s is of %s", (source, resource) => {
    expect(resourceOf(source)).toBe(resource);
  });
});

it("what is no report is none", () => {
  expect(readReport("", new Map(), (text) => text)).toBeUndefined();
  expect(
    readReport("--- !ruby/object:Puppet::Transaction::Report\nhost: n1\n", new Map(), String),
  ).toBeUndefined();
});

describe("a puppet that is played", () => {
  /** A program that writes what a run writes, and ends with that code. */
  const play = (code: number, log: string, report: string) => {
    const program = `#!/bin/sh
while [ $# -gt 0 ]; do
  case $1 in
    --logdest) log=$2 ;;
    --lastrunreport) cp '${dir}/report' "$2" ;;
    --resourcefile) printf 'file[/etc/a]\\nexec[b]\\n' > "$2" ;;
    --noop) touch '${dir}/noop' ;;
  esac
  last=$1
  shift
done
cp '${dir}/log' "$log"
cp "$last" '${dir}/manifest'
cp "$(dirname "$last")/conf/common.yaml" '${dir}/common.yaml'
sleep 0.5
exit ${code}
`;
    writeFileSync(join(dir, "log"), log);
    writeFileSync(join(dir, "report"), report);
    writeFileSync(join(dir, "puppet"), program);
    chmodSync(join(dir, "puppet"), 0o755);
    process.env.PATH = `${dir}:${process.env.PATH}`;
  };
  const status = (resource: string, fields: string) =>
    `  ${resource}:\n    file: "/x/site.pp"\n    line: 3\n${fields}`;
  const event = (property: string, previous: string, desired: string, how: string) =>
    `    events:\n    - property: ${property}\n      previous_value: ${previous}\n      desired_value: ${desired}\n      message: it was so\n      status: ${how}\n`;
  const report = (...statuses: string[]) =>
    `--- !ruby/object:Puppet::Transaction::Report\nresource_statuses:\n${statuses.join("")}`;

  it("says what has changed, how far it is, and leaves nothing behind", async () => {
    const evaluated = ["Starting to evaluate the resource (1 of 9)", "Evaluated in 0.01 seconds"]
      .map((message) => `{"level":"info","message":"${message}","source":"/Stage[main]/Main/File[/etc/a]"}\n`)
      .join("");
    play(
      2,
      evaluated,
      report(
        status("File[/etc/a]", event("ensure", "absent", "file", "success")),
        status("Package[nginx]", event("ensure", "purged", "1.2", "success")),
        status("Service[nginx]", event("ensure", "stopped", "running", "success")),
        status("Exec[b]", "    events: []\n"),
        "  Schedule[daily]:\n    file:\n    events: []\n",
      ),
    );
    const context = filesContext(
      {},
      {
        values: { settings: { color: "red", size: 1 }, parameters: { color: "blue" }, node: { name: "n1" } },
      },
    );
    const done = await run(context, { manifest: "file { '/etc/a': }", hiera: "own: '{{ node.name }}'" });
    expect(done).toMatchObject({
      result: "4 resources, 3 changed",
      outcome: TaskOutcome.CHANGED,
      facts: { resources: 4, changed: 3 },
    });
    expect(done.changes?.map(({ what, action }) => `${action} ${what}`)).toEqual([
      "create File[/etc/a]",
      "install Package[nginx]",
      "start Service[nginx]",
    ]);
    expect(context.reports).toContainEqual(expect.objectContaining({ currentItems: 1, totalItems: 2 }));
    expect(readFileSync(join(dir, "manifest"), "utf8")).toBe("file { '/etc/a': }");
    expect(JSON.parse(readFileSync(join(dir, "common.yaml"), "utf8"))).toMatchObject({
      color: "blue",
      size: 1,
      own: "n1",
      muster: { node: { name: "n1" } },
    });
    expect(existsSync(join(dir, "noop"))).toBe(false);
    expect(readdirSync(join(dir, "tmp"))).toEqual([]);
  });

  it("names the resource that failed, with its place, and how many were skipped", async () => {
    const failed = `    failed: true\n${event("returns", "notrun", "0", "failure")}`;
    play(6, "", report(status("Exec[b]", failed), status("Exec[c]", "    skipped: true\n    events: []\n")));
    await expect(run(filesContext(), { manifest: "x" })).rejects.toMatchObject({
      message:
        "puppet apply: 1 of 2 resources failed: Exec[b] (/x/site.pp:3): it was so; 1 were skipped because of that",
      code: 6,
    });
  });

  it("says why code does not compile", async () => {
    play(
      1,
      `{"level":"err","source":"Puppet","message":"Syntax error","file":"/x/site.pp","line":1,"pos":2}\n`,
      "",
    );
    await expect(run(filesContext(), { manifest: "x" })).rejects.toThrow(
      "puppet apply: /x/site.pp:1:2: Syntax error",
    );
    play(1, "", "");
    writeFileSync(join(dir, "puppet"), "#!/bin/sh\necho 'Error: no such option' >&2\nexit 1\n");
    await expect(run(filesContext(), { manifest: "x" })).rejects.toThrow(
      "puppet apply: Error: no such option",
    );
  });

  it("is asked for no change in a check", async () => {
    play(0, "", report(status("File[/etc/a]", event("content", "a", "b", "noop"))));
    expect(await run(filesContext({}, { check: true }), { manifest: "x" })).toMatchObject({
      result: "1 resources, 1 would change",
      outcome: TaskOutcome.CHANGED,
      changes: [{ what: "File[/etc/a]", action: "update", diff: "it was so\n" }],
    });
    expect(existsSync(join(dir, "noop"))).toBe(true);
  });

  it("refuses values that are none, before anything is run", async () => {
    play(0, "", report());
    await expect(run(filesContext(), { manifest: "x", hiera: "- a" })).rejects.toThrow(/not a map/);
    await expect(run(filesContext(), { manifest: "x", hiera: "a: [" })).rejects.toThrow(/is no YAML/);
    expect(existsSync(join(dir, "manifest"))).toBe(false);
  });

  it("ends with all that it has started when it is cancelled, and leaves nothing behind", async () => {
    play(0, "", "");
    writeFileSync(join(dir, "puppet"), `#!/bin/sh\nsleep 60 &\necho $! > '${dir}/pid'\nwait\n`);
    const running = run(filesContext({}, { signal: AbortSignal.timeout(500) }), { manifest: "x" });
    await expect(running).rejects.toThrow(/cancelled/);
    const pid = readFileSync(join(dir, "pid"), "utf8").trim();
    // Whoever has ended has no command line, even if nobody has asked how.
    await vi.waitFor(() => {
      const commandLine = `/proc/${pid}/cmdline`;
      if (existsSync(commandLine)) expect(readFileSync(commandLine, "utf8")).toBe("");
    });
    expect(readdirSync(join(dir, "tmp"))).toEqual([]);
  });

  it("is said to be missing where it is", async () => {
    process.env.PATH = dir;
    await expect(run(filesContext(), { manifest: "x" })).rejects.toThrow(
      "the node has no puppet: add puppet-agent to the packages of the image's recipe",
    );
  });
});

const hasPuppet = (() => {
  try {
    execFileSync("puppet", ["--version"]);
    return true;
  } catch {
    return false;
  }
})();

describe.runIf(hasPuppet)("the real puppet", { timeout: 240_000 }, () => {
  const modules: Beside = {
    demo: null,
    "demo/manifests": null,
    "demo/manifests/init.pp": `class demo(String $target, String $color) {
  $node = lookup('muster')['node']['name']
  file { "\${target}/motd": content => "\${color} on \${node}\\n" }
}
`,
  };
  const action = () => ({
    source: "site.pp",
    modules: "modules",
    hiera: `demo::target: ${dir}\ndemo::color: '{{ settings.color }}'`,
  });
  const beside = () => ({ modules, "site.pp": { "site.pp": "include demo\n" } });
  const values = { settings: { color: "green" }, node: { name: "n1" } };

  it("says what would change, changes it, and then has nothing to do", async () => {
    const motd = join(dir, "motd");
    writeFileSync(motd, "red on n1\n");
    const check = await run(filesContext(beside(), { values, check: true }), action());
    expect(check).toMatchObject({
      result: "1 resources, 1 would change",
      changes: [{ what: `File[${motd}]`, action: "update" }],
    });
    expect(check.changes?.[0]?.diff).toContain("-red on n1\n+green on n1\n");
    expect(readFileSync(motd, "utf8")).toBe("red on n1\n");

    const context = filesContext(beside(), { values });
    const changed = await run(context, action());
    expect(changed).toMatchObject({ outcome: TaskOutcome.CHANGED, result: "1 resources, 1 changed" });
    expect(readFileSync(motd, "utf8")).toBe("green on n1\n");
    expect(context.reports.at(-1)).toMatchObject({ currentItems: 1, totalItems: 1, changedItems: 1 });
    expect(context.lines.some((line) => line.includes("modules/demo/manifests/init.pp:3"))).toBe(true);

    expect(await run(filesContext(beside(), { values }), action())).toMatchObject({
      outcome: TaskOutcome.OK,
      changes: [],
    });
  });

  it("names what failed with file and line, and what does not compile", async () => {
    const manifest = "exec { '/bin/false': }\n-> notify { 'after': }\n";
    await expect(run(filesContext(), { manifest })).rejects.toThrow(
      /1 of 2 resources failed: Exec\[\/bin\/false\] \(manifest.pp:1\): .*returned 1 instead of one of \[0\].*; 1 were skipped/,
    );
    await expect(run(filesContext(), { manifest: "\ninclude nothere\n" })).rejects.toThrow(
      /puppet apply: manifest.pp:2:1: .*Could not find class ::nothere/,
    );
  });
});
