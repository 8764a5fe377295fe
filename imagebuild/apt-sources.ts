// Which Debian mirror to build from: the one that this system itself uses, so that a site's own mirror is
// respected; the public one only where the system names none.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** One archive as apt knows it. Options are those of the one-line form, such as `signed-by=/...`. */
export type AptSource = { uri: string; suites: string[]; components: string[]; options: string[] };

const debianComponents = ["main", "contrib", "non-free", "non-free-firmware"];
const publicMirror = "http://deb.debian.org";

/** Of `/etc/apt/sources.list` and `*.list`: `deb [options] uri suite components...`. */
export function parseOneLine(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const line of text.split("\n")) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line);
    if (!match) continue;
    const [, options = "", uri = "", suite = "", components = ""] = match;
    sources.push({ uri, suites: [suite], components: words(components), options: words(options) });
  }
  return sources;
}

/** Of `*.sources`: deb822 stanzas. */
export function parseDeb822(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const stanza of text.split(/\n\s*\n/)) {
    const fields = deb822Fields(stanza);
    const field = (name: string) => words(fields.get(name) ?? "");
    if (!field("types").includes("deb") || /^(no|false|0)$/i.test(fields.get("enabled")?.trim() ?? ""))
      continue;
    const options: string[] = [];
    // A key may also stand in the stanza itself; only a path can be said in the one-line form.
    const key = fields.get("signed-by")?.trim();
    if (key?.startsWith("/")) options.push(`signed-by=${words(key).join(",")}`);
    if (field("trusted").includes("yes")) options.push("trusted=yes");
    for (const uri of field("uris")) {
      sources.push({ uri, suites: field("suites"), components: field("components"), options });
    }
  }
  return sources;
}

function deb822Fields(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let name = "";
  for (const line of stanza.split("\n")) {
    if (line.startsWith("#")) continue;
    const match = /^([A-Za-z-]+):(.*)$/.exec(line);
    if (match?.[1]) {
      name = match[1].toLowerCase();
      fields.set(name, match[2] ?? "");
    } else if (name) {
      fields.set(name, `${fields.get(name)}\n${line}`);
    }
  }
  return fields;
}

/**
 * The lines for `suite`, of the system's Debian sources. A mirror carries every suite, so a system of another
 * suite still says where the mirror is.
 */
export function sourcesForSuite(system: AptSource[], suite: string): string[] {
  const debian = system.filter(isDebian);
  const used = debian.some((source) => !isSecurity(source))
    ? debian
    : [
        { uri: `${publicMirror}/debian`, suites: ["x", "x-updates"], components: ["main"], options: [] },
        { uri: `${publicMirror}/debian-security`, suites: ["x-security"], components: ["main"], options: [] },
      ];
  const lines = used.flatMap(({ uri, suites, components, options }) => {
    const named = components.filter((name) => debianComponents.includes(name)).join(" ");
    const bracket = options.length > 0 ? `[${options.join(" ")}] ` : "";
    return suites.flatMap((name) => {
      const pocket = /-(updates|security)$/.exec(name)?.[0] ?? "";
      return name.includes("backports") ? [] : [`deb ${bracket}${uri} ${suite}${pocket} ${named}`];
    });
  });
  return [...new Set(lines)].sort((a, b) => Number(/-security/.test(a)) - Number(/-security/.test(b)));
}

function isDebian(source: AptSource): boolean {
  if (!/^(https?|ftp|file|copy|tor\+https?):/.test(source.uri) || !source.components.includes("main"))
    return false;
  return (
    /\/debian(-security)?\/?$/.test(source.uri) ||
    source.options.some((option) => option.includes("debian-archive-keyring"))
  );
}

function isSecurity(source: AptSource): boolean {
  return source.suites.every((name) => /[-/](security|updates)$/.test(name));
}

/** What this system's apt is told, in any of its files. */
export async function readSystemSources(root = "/etc/apt"): Promise<AptSource[]> {
  const parts = await readdir(join(root, "sources.list.d")).catch(() => []);
  const paths = [
    join(root, "sources.list"),
    ...parts.sort().map((name) => join(root, "sources.list.d", name)),
  ];
  const sources: AptSource[] = [];
  for (const path of paths) {
    const text = await readFile(path, "utf8").catch(() => "");
    if (path.endsWith(".list")) sources.push(...parseOneLine(text));
    if (path.endsWith(".sources")) sources.push(...parseDeb822(text));
  }
  return sources;
}

function words(text: string): string[] {
  return text.split(/\s+/).filter(Boolean);
}
