import { describe, expect, it } from "vitest";
import { testContext } from "./step-fixture.ts";
import { templatesOf } from "./template.ts";

const values = {
  settings: { color: "red", port: "80" },
  node: { name: "n1", address: "10.0.0.1", inventory: { memory_bytes: 68_719_476_736, disks: [] } },
  roles: { web: ["n1", "n2"] },
  parameters: { debug: false, nothing: null },
};

async function render(text: string): Promise<string> {
  const templates = await templatesOf(testContext({ values, secrets: { db: "hunter2" } }));
  return templates.render("app.conf", text);
}

describe("a template", () => {
  it.each([
    ["{{ settings.color }} {{ secrets.db }} {{ node.inventory.memory_bytes }}", "red hunter2 68719476736"],
    ["{{ parameters.debug }}|{{ parameters.nothing }}|{{ roles.web }}", 'false||["n1","n2"]'],
    ["{{ settings.colour | default: 'blue' }}{% if node.rack %}x{% endif %}", "blue"],
    ["{{ roles.web | join: ',' | upcase }} {{ \"it's\" | sh }}", "N1,N2 'it'\\''s'"],
    ["no {braces} and %s here: $", "no {braces} and %s here: $"],
    ["{% raw %}{{ x }}{% endraw %}", "{{ x }}"],
  ])("%j gives %j", async (text, expected) => {
    expect(await render(text)).toBe(expected);
  });

  it("leaves no empty lines where only tags were", async () => {
    const text = [
      "list:",
      "  {% for node in roles.web %}",
      "  - {{ node }}",
      "  {% endfor %}",
      "end {% if true %} x{% endif %}",
    ];
    expect(await render(text.join("\n"))).toBe("list:\n  - n1\n  - n2\nend  x");
    const raw = "{% raw %}\n {% if x %}\n{% endraw %}\n";
    expect(await render(raw)).toBe("\n {% if x %}\n\n");
  });

  it.each([
    ["a\n{{ settings.colour }}", "line 2: `settings.colour` is not known; did you mean `color`?"],
    ["{{ setings.color }}", "line 1: `setings` is not known; did you mean `settings`?"],
    ["{{ settings.elephant }}", "`settings.elephant` is not known; there is color, port"],
    [
      "{{ node.inventory.disks[3].name }}",
      "`node.inventory.disks.3` is not known; `node.inventory.disks` has 0 items",
    ],
    ["{% for web in roles.web %}{{ web.name }}{% endfor %}", "`web.name` is not known"],
    ["{% for n in nodes %}{% endfor %}", "name `nodes` in the task"],
    ["{{ node.constructor }}", "`node.constructor` is not known"],
    ["\n\n{{ node.name | upcse }}", "line 3: there is no filter `upcse`; did you mean `upcase`?"],
    ["{% if node.name %}", "line 1: tag {% if node.name %} not closed"],
    ["{% include '/etc/shadow' %}", "line 1: a template cannot include another one"],
    ["{% for i in (1..100000000) %}{% endfor %}", "line 1: memory alloc limit exceeded"],
  ])("%j is refused: %s", async (text, message) => {
    const error = await render(text).catch((caught: Error) => caught);
    expect(error).toBeInstanceOf(Error);
    expect(String(error)).toContain("template of app.conf, line ");
    expect(String(error)).toContain(message);
  });
});
