// Every kind of step that the agent can do.
import { ansible } from "./ansible.ts";
import { bootloader } from "./bootloader.ts";
import { copyFiles } from "./copy-files.ts";
import { fetch } from "./fetch.ts";
import { image } from "./image.ts";
import { mergeConfig } from "./merge-config.ts";
import { noop } from "./noop.ts";
import { packages } from "./package.ts";
import { partition } from "./partition.ts";
import type { Catalogue } from "./perform.ts";
import { puppet } from "./puppet.ts";
import { reboot } from "./reboot.ts";
import { restart } from "./restart.ts";
import { seed } from "./seed.ts";
import { service } from "./service.ts";
import { shell } from "./shell.ts";
import { sync } from "./sync.ts";
import { template } from "./template.ts";
import { uploadFile, uploadFiles } from "./upload-file.ts";
import { waitFor } from "./wait-for.ts";
import { wipe } from "./wipe.ts";

export const catalogue: Catalogue = {
  partition,
  image,
  seed,
  bootloader,
  reboot,
  shell,
  uploadFile,
  uploadFiles,
  sync,
  copyFiles,
  template,
  mergeConfig,
  package: packages,
  service,
  restart,
  waitFor,
  fetch,
  noop,
  puppet,
  ansible,
  wipe,
};
