// Turns SIGINT, SIGTERM and SIGHUP into an AbortSignal, so that what is up is taken down in order.

/** `aborted` fires once; further signals are ignored while things are taken down. */
export function onShutdown(): { signal: AbortSignal; requested: Promise<void> } {
  const controller = new AbortController();
  const requested = new Promise<void>((resolve) => {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(name, () => {
        controller.abort(new Error(`interrupted by ${name}`));
        resolve();
      });
    }
  });
  return { signal: controller.signal, requested };
}
