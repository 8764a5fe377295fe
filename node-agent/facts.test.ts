import { expect, it } from "vitest";
import { localAddress, parseBootTime, parseMdstat } from "./facts.ts";

const mdstat = `Personalities : [raid1] [raid6] [raid5] [raid4]
md127 : active raid1 vdb3[1] vda3[0]
      6150144 blocks super 1.2 [2/2] [UU]
      bitmap: 0/1 pages [0KB], 65536KB chunk

md126 : active (auto-read-only) raid1 vdb4[1](F) vda4[0]
      4189184 blocks super 1.2 [2/1] [U_]
      [=>...................]  recovery =  8.6% (361728/4189184) finish=0.5min speed=120576K/sec

md0 : active raid0 sdb1[1] sda1[0]
      8378368 blocks super 1.2 512k chunks

unused devices: <none>
`;

it("says in one line how an array stands, by the name that udev gave it", () => {
  expect(parseMdstat(mdstat, new Map([["md127", "os"]]))).toEqual([
    "os raid1 [2/2] [UU]",
    "md126 raid1 [2/1] [U_] recovery 8.6%",
    "md0 raid0 active",
  ]);
  expect(parseMdstat("Personalities : \nunused devices: <none>\n", new Map())).toEqual([]);
});

it("reads when the kernel started", () => {
  expect(parseBootTime("cpu 1 2 3\nbtime 1763719000\nprocesses 1\n")).toBe(1763719000);
});

it("finds the own address on the way to the daemon", async () => {
  expect(await localAddress("127.0.0.1:7070")).toBe("127.0.0.1");
  expect(await localAddress("[::1]:7070")).toMatch(/^(::1)?$/); // empty without IPv6
});
