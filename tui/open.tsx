// Opens the screens on the terminal and gives it back as it was, however they end.
import { render } from "ink";
import { App } from "./app.tsx";
import type { Operator } from "./client.ts";
import { exitCode } from "./errors.ts";
import type { Io } from "./io.ts";
import { Session } from "./session.ts";
import { Store } from "./store.ts";
import { glyphsFor } from "./theme.ts";
import { sleep, watchFeed } from "./watch.ts";

export async function openTui(operator: Operator, io: Io): Promise<number> {
  const store = new Store(io.now);
  const glyphs = glyphsFor(io.env);
  const stop = new AbortController();
  const quit = () => stop.abort();
  const session = new Session({ operator, snapshot: store.getSnapshot, now: io.now, glyphs, quit });
  io.signal.addEventListener("abort", quit);
  const feeding = store.run(watchFeed(operator.watch, { signal: stop.signal, sleep }));
  // The alternate screen keeps the cursor's column: the first line would be drawn after what was typed early.
  process.stdout.write("\r");
  const screen = render(<App session={session} store={store} glyphs={glyphs} />, {
    // Ink would take a CI variable for the absence of a terminal; that there is one has been looked at.
    interactive: true,
    alternateScreen: true,
    incrementalRendering: true,
    maxFps: 20,
    exitOnCtrlC: false,
  });
  stop.signal.addEventListener("abort", () => screen.unmount());
  try {
    await screen.waitUntilExit();
    return io.signal.aborted ? exitCode.interrupted : exitCode.ok;
  } finally {
    stop.abort();
    session.close();
    await feeding;
  }
}
