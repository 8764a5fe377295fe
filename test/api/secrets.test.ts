// Secrets over the daemon's socket: what can be seen of them, and that their content is nowhere.
import { createHash } from "node:crypto";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { manifests } from "../../daemon/domain/plan-fixture.ts";
import { readBackup } from "../../daemon/state/backup-file.ts";
import { ListSecretsResponseSchema, SetSecretRequestSchema } from "../../proto/gen/muster/v1/secret_pb.ts";
import { WatchResponseSchema } from "../../proto/gen/muster/v1/watch_pb.ts";
import { codes } from "../../proto/rpc/status.ts";
import { startTestDaemon, type TestDaemon } from "./daemon.ts";

const content = "correct horse battery staple";
/** The demo cluster with its volume of /srv in LUKS. */
const encrypted = manifests
  .replace(/lvs:.*/, "lvs: [{name: root, vg: vg0, size: 3 GiB}, {name: srv, vg: vg0, size: 1 GiB}]")
  .replace(
    /fss:.*/,
    `luks: [{name: srv, device: lv/vg0/srv, secret: disk-key}]
fss: [{device: lv/vg0/root, type: ext4, mount: /}, {device: luks/srv, type: ext4, mount: /srv}]`,
  );

let daemon: TestDaemon;
beforeEach(async () => {
  daemon = await startTestDaemon();
});
afterEach(() => daemon[Symbol.asyncDispose]());

const set = (name: string, text = content, requestId = "") =>
  daemon.muster.secrets.setSecret({ name, content: Buffer.from(text), requestId });
const list = async () => (await daemon.muster.secrets.listSecrets({})).secrets;
const applyEncrypted = () =>
  daemon.muster.clusters.apply({ files: [{ path: "demo.yaml", content: encrypted }] });
const startDeployment = async () => {
  const { plan } = await daemon.muster.deployments.planCluster({ cluster: "demo" });
  return daemon.muster.deployments.startDeployment({ cluster: "demo", planHash: plan?.hash });
};

describe("secrets", () => {
  it("are set, listed in order and page by page, replaced and forgotten; events say so", async () => {
    const { secrets, watch } = daemon.muster;
    expect(await set("z-key")).toMatchObject({ created: true, secret: { name: "z-key", typable: true } });
    await set("disk-key", "with a line end\n");
    expect(await list()).toMatchObject([
      { name: "disk-key", sizeBytes: 16, typable: false },
      { name: "z-key", sizeBytes: content.length, typable: true },
    ]);
    const page = await secrets.listSecrets({ pageSize: 1, filter: "key" });
    expect(page.secrets.map(({ name }) => name)).toEqual(["disk-key"]);
    const rest = await secrets.listSecrets({ pageSize: 1, filter: "key", pageToken: page.nextPageToken });
    expect(rest.secrets.map(({ name }) => name)).toEqual(["z-key"]);

    const [old] = await list();
    const { secret: now, created } = await set("disk-key", "shorter");
    expect([created, now?.sizeBytes, now?.createTime]).toEqual([false, 7, old?.createTime]);
    await expect(secrets.deleteSecret({ name: "disk-key", etag: old?.etag })).rejects.toMatchObject({
      reason: "ETAG_MISMATCH",
    });
    await secrets.deleteSecret({ name: "disk-key", etag: now?.etag, validateOnly: true });
    await secrets.deleteSecret({ name: "disk-key", etag: now?.etag });
    expect((await list()).map(({ name }) => name)).toEqual(["z-key"]);
    await expect(secrets.deleteSecret({ name: "disk-key", etag: now?.etag })).rejects.toMatchObject({
      code: codes.NOT_FOUND,
    });
    const { events } = await watch.listEvents({ filter: 'subject = "secret/disk-key"' });
    expect(events.map(({ reason, message }) => `${reason} ${message}`)).toEqual([
      "SECRET_DELETED deleted by the operator",
      "SECRET_SET replaced by the operator",
      "SECRET_SET set by the operator",
    ]);
  });

  it.each<[string, string, string]>([
    ["Disk", content, "name"],
    ["", content, "name"],
    ["../key", content, "name"],
    ["disk-key", "", "content"],
    ["disk-key", "x".repeat(65_537), "content"],
  ])("named %j are refused with a word on the field, and none on the content", async (name, text, field) => {
    const refusal = await set(name, text).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ reason: "INVALID_REQUEST", fields: [{ field }] });
    expect(`${refusal}`).not.toContain(content);
    expect(`${refusal}`).not.toContain("xxx");
    expect(await list()).toEqual([]);
  });

  it("are asked for once with a request id, which knows another content", async () => {
    const { secret } = await set("disk-key", content, "r1");
    expect((await set("disk-key", content, "r1")).secret).toEqual(secret);
    expect((await list())[0]?.etag).toBe(secret?.etag);
    await daemon.restart();
    expect((await set("disk-key", content, "r1")).secret).toEqual(secret);
    await expect(set("disk-key", "another", "r1")).rejects.toMatchObject({ reason: "REQUEST_ID_REUSED" });
  });
});

describe("a cluster that needs a secret", () => {
  it("is planned once there is one, which then stays while something needs it", async () => {
    const { clusters, deployments, secrets } = daemon.muster;
    await applyEncrypted();
    await expect(deployments.planCluster({ cluster: "demo" })).rejects.toMatchObject({
      reason: "CANNOT_PLAN",
      violations: ["n1", "n2"].map((subject) => ({
        subject,
        description: expect.stringMatching(/raid1-lvm.*secret disk-key.*`muster secret set disk-key`/),
      })),
    });
    await set("disk-key");
    await startDeployment();
    await expect(set("disk-key", "another")).rejects.toMatchObject({
      code: codes.FAILED_PRECONDITION,
      reason: "BUSY",
    });
    const remove = async () => secrets.deleteSecret({ name: "disk-key", etag: (await list())[0]?.etag });
    await expect(remove()).rejects.toMatchObject({
      reason: "IN_USE",
      message: expect.stringContaining("scheme/raid1-lvm, deployment/demo-1"),
    });
    await deployments.stopDeployment({ name: "demo", force: true });
    await set("disk-key", "another");
    await expect(remove()).rejects.toMatchObject({ reason: "IN_USE" });
    await clusters.apply({ files: [{ path: "demo.yaml", content: manifests }] });
    await remove();
    expect(await list()).toEqual([]);
  });
});

describe("the content", () => {
  it("is in no answer, event, change or file, and no plain digest of it either", async () => {
    const { secrets, watch, daemon: self } = daemon.muster;
    const request = { name: "disk-key", content: Buffer.from(content), requestId: "guess-me" };
    const answer = await secrets.setSecret(request);
    await set("disk-key", content);
    const said = [JSON.stringify(answer, (_, value) => (typeof value === "bigint" ? `${value}` : value))];
    said.push(toJsonString(ListSecretsResponseSchema, await secrets.listSecrets({})));
    for await (const response of watch.watch({})) {
      said.push(toJsonString(WatchResponseSchema, response));
      if (response.change.case === "snapshotEnd") break;
    }
    for await (const response of watch.watch({ startRevision: 1n })) {
      said.push(toJsonString(WatchResponseSchema, response));
      if (response.revision >= (answer.secret?.revision ?? 0n)) break;
    }
    const files = [Buffer.from(said.join("\n"))];
    for (const name of await readdir(join(daemon.stateDir, "db"))) {
      files.push(await readFile(join(daemon.stateDir, "db", name)));
    }
    for await (const { content: bytes } of self.backup({})) files.push(Buffer.from(bytes));
    const all = Buffer.concat(files);
    expect(all.includes("guess-me")).toBe(true);
    const plain = toBinary(SetSecretRequestSchema, create(SetSecretRequestSchema, request));
    for (const trace of [
      content,
      Buffer.from(content).toString("base64"),
      createHash("sha256").update(plain).digest(),
      createHash("sha256").update(content).digest(),
    ]) {
      expect(all.includes(trace)).toBe(false);
    }
  });

  it("is in a backup encrypted, together with its key", async () => {
    await set("disk-key");
    const file = join(daemon.stateDir, "backup");
    const pieces: Uint8Array[] = [];
    for await (const { content: bytes } of daemon.muster.daemon.backup({})) pieces.push(bytes);
    await writeFile(file, Buffer.concat(pieces));
    const found: string[] = [];
    for await (const part of readBackup(file)) {
      if (part.case === "record") found.push(part.value.key);
      if (part.case === "file") found.push(part.value.path);
    }
    expect(found).toEqual(expect.arrayContaining(["s/disk-key", "pki/secrets.key"]));
  });
});

describe("the key file", () => {
  it("may be another one: the daemon starts, and the secret can be set again", async () => {
    await set("disk-key");
    await writeFile(join(daemon.stateDir, "pki/secrets.key"), Buffer.alloc(32, 1));
    await daemon.restart();
    expect((await list()).map(({ name }) => name)).toEqual(["disk-key"]);
    expect((await set("disk-key")).created).toBe(false);
  });

  it("must not be missing while something is stored under it", async () => {
    await daemon.restart();
    await rm(join(daemon.stateDir, "pki/secrets.key"));
    await daemon.restart();
    await set("disk-key");
    const path = join(daemon.stateDir, "pki/secrets.key");
    const key = await readFile(path);
    await rm(path);
    await expect(daemon.restart()).rejects.toThrow(/secrets\.key is missing/);
    await writeFile(path, key);
    await daemon.restart();
    expect(await list()).toHaveLength(1);
  });
});
