// The operator's program: decides about colours and interrupts before anything else is loaded.
import { run } from "./cli.ts";
import { exitCode } from "./errors.ts";
import { processIo } from "./io.ts";

// chalk, which Ink paints with, does not know NO_COLOR; and React is fast only when it is told so.
if (process.env.NO_COLOR) process.env.FORCE_COLOR = "0";
process.env.NODE_ENV ??= "production";

// A reader such as `head` that has enough is no fault.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

const interrupt = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  // The first asks to end in order, for a second; another ends at once.
  process.once(signal, () => {
    interrupt.abort();
    setTimeout(() => process.exit(exitCode.interrupted), 1000).unref();
  });
}

process.exitCode = await run(process.argv.slice(2), processIo(interrupt.signal), async (operator, io) => {
  // While the screens load, what is typed must wait for them and not be echoed onto the terminal.
  process.stdin.setRawMode(true);
  try {
    const { openTui } = await import("./open.tsx");
    return await openTui(operator, io);
  } finally {
    process.stdin.setRawMode(false);
  }
});
