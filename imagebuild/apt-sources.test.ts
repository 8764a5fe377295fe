import { expect, test } from "vitest";
import { parseDeb822, parseOneLine, sourcesForSuite } from "./apt-sources.ts";

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

const deb822 = `# made by the installer
Types: deb deb-src
# a snapshot is named here
URIs: http://mirror.site.test/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main
 non-free-firmware
Signed-By: ${keyring}

Types: deb
URIs: http://mirror.site.test/debian-security
Suites: bookworm-security
Components: main
Signed-By: ${keyring}

Types: deb
URIs: https://packages.vendor.test/node
Suites: nodistro
Components: main

Enabled: no
Types: deb
URIs: http://off.test/debian
Suites: bookworm
Components: main
`;

test("a system with deb822 sources gives its own Debian mirror", () => {
  expect(sourcesForSuite(parseDeb822(deb822), "bookworm")).toEqual([
    `deb [signed-by=${keyring}] http://mirror.site.test/debian bookworm main non-free-firmware`,
    `deb [signed-by=${keyring}] http://mirror.site.test/debian bookworm-updates main non-free-firmware`,
    `deb [signed-by=${keyring}] http://mirror.site.test/debian-security bookworm-security main`,
  ]);
});

test("one-line sources are read with options and comments", () => {
  const text = `
# deb http://off.test/debian bookworm main
deb [arch=amd64 trusted=yes] http://a.test/debian/ bookworm main contrib # the site's
deb-src http://a.test/debian bookworm main
deb http://a.test/debian-security bookworm-security main
deb cdrom:[Debian]/ bookworm main
`;
  expect(sourcesForSuite(parseOneLine(text), "bookworm")).toEqual([
    "deb [arch=amd64 trusted=yes] http://a.test/debian/ bookworm main contrib",
    "deb http://a.test/debian-security bookworm-security main",
  ]);
});

test("a system of another suite says where the mirror is", () => {
  const lines = sourcesForSuite(parseOneLine("deb http://a.test/debian trixie main"), "bookworm");
  expect(lines).toEqual(["deb http://a.test/debian bookworm main"]);
});

test("a system without Debian sources gets the public mirror", () => {
  const ubuntu = parseOneLine("deb http://archive.ubuntu.com/ubuntu noble main universe");
  expect(sourcesForSuite(ubuntu, "bookworm")).toEqual([
    "deb http://deb.debian.org/debian bookworm main",
    "deb http://deb.debian.org/debian bookworm-updates main",
    "deb http://deb.debian.org/debian-security bookworm-security main",
  ]);
});

test("security alone is no mirror of the archive", () => {
  const lines = sourcesForSuite(
    parseOneLine("deb http://a.test/debian-security bookworm-security main"),
    "bookworm",
  );
  expect(lines[0]).toBe("deb http://deb.debian.org/debian bookworm main");
});
