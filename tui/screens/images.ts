// The table of images.
import { formatAge, formatBytes, shortDigest, timeMs } from "../format.ts";
import { imageLines } from "../verbs/describe.ts";
import { imageKind } from "../words.ts";
import { line, type Row, type Scene, type Screen, tableLines } from "./lines.ts";

export function imagesScreen(scene: Scene): Screen {
  const rows = [...scene.world.images.values()].map((image): Row => {
    const built = timeMs(image.buildTime);
    return {
      cells: [
        image.name,
        image.version,
        imageKind(image.kind),
        shortDigest(image.digest),
        formatBytes(image.sizeBytes),
        formatBytes(image.storedBytes),
        String(image.chunkCount),
        image.firmware.join(","),
        built === undefined ? "" : `${formatAge(scene.now - built)} ago`,
        image.kernelVersion,
      ],
      target: { kind: "image", name: image.name },
    };
  });
  const columns = [
    { title: "NAME" },
    { title: "VERSION", drop: 4 },
    { title: "KIND", drop: 3 },
    { title: "DIGEST" },
    { title: "SIZE", right: true },
    { title: "STORED", right: true },
    { title: "CHUNKS", right: true, drop: 1 },
    { title: "FIRMWARE", drop: 2 },
    { title: "BUILT" },
    { title: "KERNEL" },
  ];
  const { head, body } = tableLines(columns, rows, scene.width);
  const empty = [line("no image yet: muster image build RECIPE", "dim")];
  return { title: "Images", head: [head], body: body.length ? body : empty };
}

export function imageScreen(scene: Scene, name: string): Screen {
  const image = scene.world.images.get(name);
  const body = image
    ? imageLines(image).map((text) => line(text))
    : [line(`image ${name} is not known`, "dim")];
  return { title: `Images › ${name}`, head: [], body };
}
