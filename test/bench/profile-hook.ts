// Loaded before the daemon's own code when the bench wants profiles: begins one and writes it when asked to.
import { mkdir, writeFile } from "node:fs/promises";
import { Session } from "node:inspector/promises";
import path from "node:path";
import { answer } from "./children.ts";

const session = new Session();
session.connect();

answer({
  profile: async () => {
    await session.post("Profiler.enable");
    await session.post("Profiler.setSamplingInterval", { interval: 500 });
    await session.post("Profiler.start");
  },
  save: async (file: string) => {
    const { profile } = await session.post("Profiler.stop");
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, JSON.stringify(profile));
  },
});
// The daemon ends when it has nothing left to do: this must not count.
process.channel?.unref();
