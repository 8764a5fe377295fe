// What lies on several disks, from what lsblk says of the whole machine.
import { expect, test } from "vitest";
import { refuseShared } from "./empty.ts";

const part = (disk: string, children: object[]) => ({
  name: `${disk}1`,
  path: `/dev/${disk}1`,
  type: "part",
  children,
});
const array = { name: "md127", path: "/dev/md127", type: "raid1", children: [] };
const disk = (name: string, children: object[]) => ({
  name,
  path: `/dev/${name}`,
  type: "disk",
  children: [part(name, children)],
});

function context(blockdevices: object[]) {
  const run = async () => ({ code: 0, stdout: JSON.stringify({ blockdevices }), stderr: "" });
  return { run, log: () => {}, signal: new AbortController().signal };
}

test("an array that reaches beyond the disks is refused, one within them is not", async () => {
  const machine = context([disk("vda", [array]), disk("vdb", [array]), disk("vdc", [])]);
  await expect(refuseShared(["/dev/vda"], machine)).rejects.toThrow(
    "/dev/md127 lies on /dev/vda and also on /dev/vdb, which is not to be wiped. Take it apart on the node, " +
      "then retry the step.",
  );
  await refuseShared(["/dev/vda", "/dev/vdb"], machine);
  await refuseShared(["/dev/vdc"], machine);
});
