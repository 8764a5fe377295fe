import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseDpkgStatus } from "./image-tree.ts";
import { parseModuleOrder } from "./ramdisk-tree.ts";
import { decodeRecipe } from "./recipe.ts";

test("the examples are good recipes", async () => {
  for (const name of ["debian-12", "debian-12-metal"]) {
    const path = join(import.meta.dirname, `../examples/${name}.yaml`);
    const recipe = decodeRecipe(path, await readFile(path, "utf8"));
    expect(recipe).toMatchObject({ name, suite: "bookworm", agent: true });
  }
});

test("a bad recipe is refused with its place", () => {
  const text = "kind: Recipe\nname: x\ndistribution: debian\nsuit: bookworm\n";
  expect(() => decodeRecipe("r.yaml", text)).toThrow(/r\.yaml:4:1.*suit/s);
  expect(() => decodeRecipe("r.yaml", "")).toThrow("r.yaml should have one document, of `kind: Recipe`");
});

test("installed packages are listed with their versions", () => {
  const status = `Package: zstd
Status: install ok installed
Version: 1.5.4

Package: gone
Status: deinstall ok config-files
Version: 1

Package: adduser
Status: install ok installed
Version: 3.134
`;
  expect(parseDpkgStatus(status)).toEqual(["adduser=3.134", "zstd=1.5.4"]);
});

test("modules load in the order that modprobe shows", () => {
  const text = "builtin crc32c\ninsmod /r/lib/zstd.ko \ninsmod /r/fs/squashfs.ko x=1\n";
  expect(parseModuleOrder(text)).toEqual(["/r/lib/zstd.ko", "/r/fs/squashfs.ko"]);
});
