// The screens' session: takes keys, holds where the operator is, and carries out what the keys ask for.
// Knows no React; the app draws what frame() makes of its state.

import { isLeftOut } from "../proto/plan/skipped-steps.ts";
import { actionPrompt, failure, type Notice, type Prompt, submit } from "./actions.ts";
import type { Operator } from "./client.ts";
import { clean } from "./format.ts";
import { buildFrame, type Frame, type SessionState, type Size } from "./frame.ts";
import { bindingOf, type Command, type Place, type ScreenName } from "./keymap.ts";
import { LogTail } from "./log-tail.ts";
import { destination, logOf } from "./navigate.ts";
import type { Snapshot } from "./store.ts";
import type { Glyphs } from "./theme.ts";
import { move, newView, type View } from "./view.ts";
import { isJoin } from "./words.ts";

export type SessionOptions = {
  operator: Operator;
  snapshot: () => Snapshot;
  now: () => number;
  glyphs: Glyphs;
  quit: () => void;
};

const noticeMs = 8000;

export class Session {
  readonly #options: SessionOptions;
  readonly #listeners = new Set<() => void>();
  #state: SessionState = {
    stack: [newView("overview")],
    prompt: undefined,
    notice: undefined,
    plan: undefined,
    log: undefined,
  };
  #size: Size = { columns: 80, rows: 24 };

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly getState = (): SessionState => this.#state;

  /** What the terminal shows now. */
  frame(size: Size): Frame {
    this.#size = size;
    const { snapshot, now, glyphs } = this.#options;
    const state = this.#expired() ? { ...this.#state, notice: undefined } : this.#state;
    return buildFrame(state, snapshot(), { size, now: now(), glyphs });
  }

  press(keys: string[]): void {
    for (const key of keys) {
      if (this.#state.prompt) this.#type(key, this.#state.prompt);
      else this.#command(key);
    }
  }

  /** Pasted text is text, never commands. */
  paste(text: string): void {
    const { prompt } = this.#state;
    if (prompt) this.#edit(prompt, prompt.text + clean(text));
  }

  close(): void {
    this.#state.log?.[Symbol.dispose]();
  }

  #command(key: string): void {
    const binding = bindingOf(key);
    if (!binding) return;
    const frame = this.frame(this.#size);
    const refusal = binding.refusal?.(frame.place);
    // In a filtered or nested view Esc has work to do whatever the screen.
    if (refusal && !(binding.command === "back" && this.#view.filter)) {
      this.#refuse(refusal);
      return;
    }
    this.#run(binding.command, frame);
  }

  #run(command: Command, frame: Frame): void {
    const page = Math.max(1, frame.height - 1);
    const all = frame.lines.length * 2;
    const { place } = frame;
    const moves: Partial<Record<Command, () => void>> = {
      down: () => this.#move(frame, 1),
      up: () => this.#move(frame, -1),
      "page-down": () => this.#move(frame, page),
      "page-up": () => this.#move(frame, -page),
      top: () => this.#move(frame, -all),
      bottom: () => this.#bottom(frame, all),
      open: () => this.#open(place),
      back: () => this.#back(),
      log: () => this.#openLog(logOf(place.target, place.world)),
      follow: () => this.#setView({ ...this.#view, follow: !this.#view.follow }),
      help: () => this.#push("help", ""),
      filter: () => this.#set({ prompt: { kind: "filter", label: "filter: ", text: this.#view.filter } }),
      quit: () => this.#options.quit(),
      interrupt: () => this.#options.quit(),
    };
    const go = moves[command];
    if (command.startsWith("go-")) this.#show([newView(command.slice(3) as ScreenName)]);
    else if (go) go();
    else this.#act(command, place);
  }

  get #view(): View {
    return this.#state.stack.at(-1) ?? newView("overview");
  }

  #move(frame: Frame, delta: number): void {
    this.#setView(move(this.#view, frame.lines, frame.height, delta));
  }

  #bottom(frame: Frame, all: number): void {
    const view = move(this.#view, frame.lines, frame.height, all);
    this.#setView({ ...view, follow: view.screen === "log" });
  }

  #open({ target, world }: Place): void {
    const to = destination(target, this.#view, world);
    if ("refusal" in to) this.#refuse(to.refusal);
    else if (to.screen === "log") this.#openLog(to.name);
    else this.#push(to.screen, to.name);
  }

  #openLog(name: string | undefined): void {
    if (!name) return;
    this.#state.log?.[Symbol.dispose]();
    const { operator, snapshot } = this.#options;
    const attempt = () => snapshot().world.steps.get(name)?.attempt ?? 0;
    const log = new LogTail(operator.watch, { step: name, attempt, changed: () => this.#set({}) });
    this.#set({ log });
    this.#push("log", name);
  }

  #back(): void {
    if (this.#view.filter) {
      this.#setView({ ...this.#view, filter: "" });
      return;
    }
    const stack = this.#state.stack.slice(0, -1);
    this.#show(stack.length ? stack : [newView("overview")]);
  }

  #push(screen: ScreenName, name: string): void {
    this.#show([...this.#state.stack, newView(screen, name)]);
  }

  #show(stack: View[]): void {
    // A log that nobody sees is not read on.
    const seen = stack.some(({ screen }) => screen === "log");
    if (!seen) this.#state.log?.[Symbol.dispose]();
    this.#set({ stack, notice: undefined, log: seen ? this.#state.log : undefined });
  }

  /** Asks before what is hard to undo; does the rest at once. */
  #act(command: Command, place: Place): void {
    const prompt = actionPrompt(command, place);
    if (!prompt) return;
    if (prompt.kind === "now") void this.#submit(prompt);
    else if (prompt.kind === "plan") void this.#plan(prompt);
    else this.#set({ prompt });
  }

  async #plan(prompt: Extract<Prompt, { kind: "plan" }>): Promise<void> {
    try {
      const { plan } = await this.#options.operator.deployments.planCluster({ cluster: prompt.cluster });
      if (!plan) return;
      if (plan.steps.length && plan.steps.every((step) => isLeftOut(step) || isJoin(step))) {
        const all = `muster deploy ${prompt.cluster} --all`;
        this.#refuse(`nothing has changed in ${prompt.cluster}; ${all} does everything anew`);
        return;
      }
      this.#set({ plan, prompt: { ...prompt, hash: plan.hash } });
      this.#push("plan", prompt.cluster);
    } catch (error) {
      this.#notify(failure(error));
    }
  }

  #type(key: string, prompt: Prompt): void {
    if (key === "ctrl-c") {
      this.#options.quit();
      return;
    }
    if (key === "enter") {
      this.#enter(prompt);
      return;
    }
    if (key === "esc") {
      this.#cancel(prompt);
      return;
    }
    if (key === "backspace") {
      this.#edit(prompt, [...prompt.text].slice(0, -1).join(""));
      return;
    }
    if (key === "ctrl-u") {
      this.#edit(prompt, "");
      return;
    }
    const scrolls: Record<string, Command> = {
      up: "up",
      down: "down",
      pageup: "page-up",
      pagedown: "page-down",
    };
    const scroll = scrolls[key];
    if (scroll) {
      this.#run(scroll, this.frame(this.#size));
      return;
    }
    if ([...key].length === 1) this.#edit(prompt, prompt.text + key);
  }

  #edit(prompt: Prompt, text: string): void {
    this.#set({ prompt: { ...prompt, text } });
    // The list narrows while one types.
    if (prompt.kind === "filter") this.#setView({ ...this.#view, filter: text, scroll: 0 });
  }

  #enter(prompt: Prompt): void {
    this.#set({ prompt: undefined });
    if (prompt.kind === "filter") return;
    if (prompt.kind === "plan") this.#leavePlan();
    if (prompt.kind !== "now" && prompt.text !== prompt.wanted) {
      this.#refuse(`${prompt.text || "nothing"} was typed, not ${prompt.wanted}; nothing was done`);
    } else void this.#submit(prompt);
  }

  #cancel(prompt: Prompt): void {
    this.#set({ prompt: undefined });
    if (prompt.kind === "filter") this.#setView({ ...this.#view, filter: "" });
    else this.#refuse("nothing was done");
    if (prompt.kind === "plan") this.#leavePlan();
  }

  #leavePlan(): void {
    this.#set({ stack: this.#state.stack.filter(({ screen }) => screen !== "plan"), plan: undefined });
  }

  async #submit(prompt: Prompt): Promise<void> {
    const { notice, open } = await submit(prompt, this.#options.operator);
    if (open) this.#push("deployment", open);
    this.#notify(notice);
  }

  #refuse(text: string): void {
    this.#notify({ text, tone: "warn" });
  }

  #notify(notice: Omit<Notice, "until">): void {
    this.#set({ notice: { ...notice, until: this.#options.now() + noticeMs } });
  }

  #expired(): boolean {
    const { notice } = this.#state;
    return notice?.until !== undefined && notice.until < this.#options.now();
  }

  #setView(view: View): void {
    this.#set({ stack: [...this.#state.stack.slice(0, -1), view] });
  }

  #set(change: Partial<SessionState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }
}
