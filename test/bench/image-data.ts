// The images that `bench image` delivers, made of this machine's own system: dense ones of random bytes, and a file
// system with real programs, in two versions of which the second has 4 % of new content.
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { timed } from "./timed.ts";

export type ImageData = {
  /** 2 GiB that cannot be compressed. */
  dense: string;
  /** 4 GiB of ext4, a quarter full; beside it `.zst` and `.bmap`. */
  real: string;
  /** The same built again from a changed tree. */
  rebuilt: string;
};

const treeMiB = 1024;
const changedMiB = 30;
const denseMiB = 2048;
const time = "1700000000";

/** Makes what is not there yet. About 8 GiB of real space. */
export async function makeImages(directory: string): Promise<ImageData> {
  mkdirSync(directory, { recursive: true });
  const data = {
    dense: join(directory, "dense.img"),
    real: join(directory, "real.img"),
    rebuilt: join(directory, "rebuilt.img"),
  };
  if (!existsSync(data.dense)) {
    await timed(
      `dd if=/dev/urandom of=${data.dense}.part bs=1M count=${denseMiB} iflag=fullblock status=none; mv ${data.dense}.part ${data.dense}`,
    );
  }
  const tree = join(directory, "tree");
  if (!existsSync(data.real)) {
    await timed(fillTree(tree));
    await timed(makeExt4(tree, data.real));
  }
  if (!existsSync(`${data.real}.zst`)) await timed(`zstd -q -3 -T0 -f -k ${data.real} -o ${data.real}.zst`);
  if (!existsSync(`${data.real}.bmap`)) await timed(`bmaptool -q create -o ${data.real}.bmap ${data.real}`);
  if (!existsSync(data.rebuilt)) {
    await timed(changeTree(tree));
    await timed(makeExt4(tree, data.rebuilt));
    await timed(`rm -rf ${tree}`);
  }
  return data;
}

/** Whole folders of /usr until there is enough. */
function fillTree(tree: string): string {
  return `rm -rf ${tree}; mkdir -p ${tree}/usr; total=0
  for from in /usr/bin /usr/sbin /usr/share /usr/lib/x86_64-linux-gnu /usr/lib/*; do
    [ -d "$from" ] && [ ! -L "$from" ] && [ ! -e "${tree}$from" ] || continue
    size=$(du -sxm "$from" | cut -f1)
    [ $((total + size)) -le ${treeMiB + 100} ] || continue
    mkdir -p "${tree}$(dirname "$from")"; cp -ax "$from" "${tree}$from"; total=$((total + size))
    [ $total -lt ${treeMiB} ] || break
  done`;
}

/** Five programs that were compiled anew, and a new file. */
function changeTree(tree: string): string {
  return `find ${tree}/usr/bin -maxdepth 1 -type f -size +1M | LC_ALL=C sort | head -5 | while read -r file; do
    dd if=/dev/urandom of="$file" bs=64K count=16 conv=notrunc status=none
  done
  dd if=/dev/urandom of=${tree}/new-file bs=1M count=${changedMiB} status=none`;
}

function makeExt4(tree: string, image: string): string {
  const id = "6d757374-6572-8000-a000-000000000001";
  return `rm -f ${image}.part; E2FSPROGS_FAKE_TIME=${time} mke2fs -q -F -t ext4 -b 4096 -m 1 -U ${id} \
    -E hash_seed=${id},root_owner=0:0 -d ${tree} ${image}.part 4G; mv ${image}.part ${image}`;
}
