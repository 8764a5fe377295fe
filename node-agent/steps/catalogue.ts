// Every kind of step that the agent can do.
import { bootloader } from "./bootloader.ts";
import { image } from "./image.ts";
import { partition } from "./partition.ts";
import type { Catalogue } from "./perform.ts";
import { puppet } from "./puppet.ts";
import { reboot } from "./reboot.ts";
import { seed } from "./seed.ts";
import { shell } from "./shell.ts";
import { uploadFile } from "./upload-file.ts";
import { wipe } from "./wipe.ts";

export const catalogue: Catalogue = {
  partition,
  image,
  seed,
  bootloader,
  reboot,
  shell,
  uploadFile,
  puppet,
  wipe,
};
