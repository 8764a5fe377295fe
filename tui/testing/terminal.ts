// A terminal for tests: what Ink writes goes through a real terminal emulator, keys come from the test.
import { PassThrough, Writable } from "node:stream";
import { Terminal } from "@xterm/headless";

export type TestTerminal = {
  stdout: NodeJS.WriteStream;
  stdin: NodeJS.ReadStream;
  type(keys: string): void;
  resize(columns: number, rows: number): void;
  /** The visible screen, without trailing blanks. */
  screen(): Promise<string>;
};

export function createTerminal(columns = 80, rows = 24): TestTerminal {
  const emulator = new Terminal({ cols: columns, rows, convertEol: true, allowProposedApi: true });
  const sink = new Writable({
    decodeStrings: false,
    write: (chunk: string | Buffer, _encoding, done) => emulator.write(chunk, done),
  });
  const stdout = Object.assign(sink, { isTTY: true, columns, rows });
  const stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: () => stdin,
    ref: () => stdin,
    unref: () => stdin,
  });
  return {
    // Ink uses of a terminal only what is assigned above.
    stdout: stdout as unknown as NodeJS.WriteStream,
    stdin: stdin as unknown as NodeJS.ReadStream,
    type: (keys) => void stdin.write(keys),
    resize: (newColumns, newRows) => {
      emulator.resize(newColumns, newRows);
      Object.assign(stdout, { columns: newColumns, rows: newRows });
      stdout.emit("resize");
    },
    screen: async () => {
      await new Promise<void>((resolve) => emulator.write("", resolve));
      const { active } = emulator.buffer;
      const lines = Array.from({ length: emulator.rows }, (_, row) =>
        (active.getLine(active.baseY + row)?.translateToString(true) ?? "").trimEnd(),
      );
      return lines.join("\n").trimEnd();
    },
  };
}
