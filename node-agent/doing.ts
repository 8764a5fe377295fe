// What an attempt is busy with, for the reason that it is given when its time is up.
import { shellQuote } from "./shell-quote.ts";

const shownCommand = 200;
const shownLine = 200;

export class Doing {
  #commands: { shown: string; said: string }[] = [];
  /** What the step says of itself. */
  activity = "";

  /** Runs a command and knows of it as long as it runs. */
  async during<T>(argv: readonly string[], work: () => Promise<T>): Promise<T> {
    const command = { shown: argv.map(shellQuote).join(" "), said: "" };
    this.#commands.push(command);
    try {
      return await work();
    } finally {
      this.#commands.splice(this.#commands.indexOf(command), 1);
    }
  }

  /** Output of a command; of several, nobody knows of which one, and the newest is the best guess. */
  said(text: string): void {
    const command = this.#commands.at(-1);
    if (command) command.said = text;
  }

  /** Empty if nothing is known. */
  describe(): string {
    const command = this.#commands.at(-1);
    if (!command) return this.activity && `it was: ${this.activity}`;
    const line = command.said.trimEnd().split("\n").at(-1)?.trim() ?? "";
    const last = line ? `, whose last output was: ${line.slice(-shownLine)}` : ", which had printed nothing";
    return `it was running \`${shorten(command.shown)}\`${last}`;
  }
}

function shorten(text: string): string {
  return text.length > shownCommand ? `${text.slice(0, shownCommand)}...` : text;
}
