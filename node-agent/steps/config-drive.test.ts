// What lies on a config drive.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { SeedStepSchema } from "../../proto/gen/muster/v1/step_pb.ts";
import { configDriveFiles } from "./config-drive.ts";

test("the files that OpenStack's images look for", () => {
  const step = create(SeedStepSchema, { hostname: "node-1", instanceId: "i-1", mac: "52:54:00:AA:00:10" });
  const files = new Map(configDriveFiles(step).map(({ path, content }) => [path, content]));
  expect([...files.keys()]).toEqual([
    "openstack/latest/meta_data.json",
    "openstack/latest/network_data.json",
    "openstack/latest/user_data",
  ]);
  expect(JSON.parse(files.get("openstack/latest/meta_data.json") ?? "")).toEqual({
    uuid: "i-1",
    hostname: "node-1",
  });
  expect(JSON.parse(files.get("openstack/latest/network_data.json") ?? "")).toMatchObject({
    links: [{ id: "lan0", ethernet_mac_address: "52:54:00:aa:00:10" }],
    networks: [{ type: "ipv4_dhcp", link: "lan0" }],
  });
  expect(files.get("openstack/latest/user_data")).toMatch(/^#cloud-config\n/);
});
