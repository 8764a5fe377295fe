// Lets Node run .tsx files as they are: a load hook that turns JSX into calls with esbuild, source map inline.
// Everything else stays with Node's own type stripping.
import { readFileSync } from "node:fs";
import { createRequire, registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);

registerHooks({
  load(url, context, nextLoad) {
    if (!url.startsWith("file:") || !url.endsWith(".tsx")) return nextLoad(url, context);
    const file = fileURLToPath(url);
    // esbuild is loaded only when the first .tsx file is: most verbs need none.
    const { code } = require("esbuild").transformSync(readFileSync(file, "utf8"), {
      loader: "tsx",
      format: "esm",
      target: "esnext",
      jsx: "automatic",
      sourcefile: file,
      sourcemap: "inline",
      tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
    });
    return { format: "module", source: code, shortCircuit: true };
  },
});
