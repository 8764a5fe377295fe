import { describe, expect, it } from "vitest";
import { isMarked } from "./disk-mark.ts";

describe("a disk that is protected or skipped", () => {
  const short = { serial: "WD-1a", wwn: "0x50014ee2b5a1c3d4" };
  const long = { serial: "", wwn: "0x600508b1001c4d2fa1b2c3d4e5f60718" };

  it.each([
    [short, "wd-1A"],
    [short, " 0X50014EE2B5A1C3D4 "],
    [short, "50014ee2b5a1c3d4"],
    [short, "wwn-0x50014ee2b5a1c3d4"],
    [short, "50:01:4E:E2:B5:A1:C3:D4"],
    [long, "600508B1001C4D2FA1B2C3D4E5F60718"],
    [long, "0x600508b1001c4d2f"],
  ])("%# is known however its serial or wwn is written", (one, mark) => {
    expect(isMarked(one, [mark])).toBe(true);
    expect(isMarked(one === short ? long : short, [mark])).toBe(false);
  });

  it("is no disk without a name, and no disk whose name only begins like it", () => {
    expect(isMarked({ serial: "", wwn: "" }, ["", "0x", "wwn-"])).toBe(false);
    expect(isMarked(short, ["0x50014ee2", "WD"])).toBe(false);
  });
});
