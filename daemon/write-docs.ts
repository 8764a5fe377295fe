// Writes the pages of the documentation that are made from the daemon's code.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { nodeStatesPage } from "./domain/node-states-page.ts";

writeFileSync(path.join(import.meta.dirname, "../docs/node-states.md"), nodeStatesPage());
