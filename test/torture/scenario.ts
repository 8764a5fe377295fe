// What every scenario of the torture is given, and what it has to say in the end.

export type ScenarioOptions = {
  seed: number;
  agents: number;
  kills: number;
  /** Leave the folder with its logs and ledgers. */
  keep: boolean;
  signal: AbortSignal;
  log: (line: string) => void;
};

export type Outcome = {
  kills: number;
  /** Acknowledged changes that were not there later. */
  lost: string[];
  /** Destructive steps that were done twice, or after a newer attempt. */
  doubled: string[];
  /** What else should not have happened. */
  problems: string[];
};

export type Scenario = (options: ScenarioOptions) => Promise<Outcome>;
