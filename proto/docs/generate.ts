// `buf build -o - | node proto/docs/generate.ts` writes docs/api.md.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { buffer } from "node:stream/consumers";
import { apiPage } from "./api-page.ts";
import { readProtoFiles } from "./comments.ts";

const page = apiPage(readProtoFiles(await buffer(process.stdin)));
writeFileSync(path.join(import.meta.dirname, "../../docs/api.md"), page);
