// The composition root: builds every part of the daemon, starts it and takes it down again.
import { join } from "node:path";
import { create, toJsonString } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import { JoinBundleSchema } from "../proto/gen/muster/v1/agent_pb.ts";
import { daemonTlsName } from "../proto/rpc/wire.ts";
import type { DaemonConfig } from "./config.ts";
import { startDataPlane } from "./delivery/data-plane.ts";
import type { DeliveryOptions } from "./delivery/options.ts";
import type { Effect } from "./domain/decision.ts";
import { bootAnswer, discover } from "./domain/join.ts";
import type { BootPolicy } from "./domain/ports.ts";
import { restarted, tick } from "./domain/watchdog.ts";
import { type BootServer, startBootServer } from "./drivers/boot/boot.ts";
import { type Ca, openCa } from "./drivers/ca.ts";
import { FetchedFiles } from "./drivers/fetched-files.ts";
import { FileStore } from "./drivers/file-store.ts";
import { ImageStore } from "./drivers/image-store.ts";
import { createPowerDrivers } from "./drivers/power/drivers.ts";
import { openSecretVault } from "./drivers/secret-vault.ts";
import { Effects } from "./engine/effects.ts";
import { Engine } from "./engine/engine.ts";
import { collectFiles } from "./engine/file-collection.ts";
import { ProgressBoard } from "./engine/progress.ts";
import { Sessions } from "./engine/sessions.ts";
import { StepLogs } from "./engine/step-logs.ts";
import { WatchHub } from "./engine/watch.ts";
import { type Listeners, listen } from "./listen.ts";
import { openDatabase, openStateDirectory, openWitness } from "./state/open.ts";
import { type Database, Store } from "./state/store.ts";

const tickMs = 5_000;
/** How long an agent may read nothing of the chunks that it asked for. */
const stallMs = 60_000;

export type Daemon = AsyncDisposable & {
  socketPath: string;
  /** Settles when the daemon can no longer work: the state cannot be written. */
  failed: Promise<Error>;
};

/** Carries out the effects of one batch of decisions. */
type Act = (effects: readonly Effect[]) => void;

/** What tests put around, or in the place of, the daemon's own parts. */
export type DaemonParts = {
  clock?: () => number;
  wrapDatabase?: (database: Database) => Database;
  wrapAct?: (act: Act) => Act;
};

export async function startDaemon(
  config: DaemonConfig,
  log: Logger,
  { clock = Date.now, wrapDatabase = (it) => it, wrapAct = (it) => it }: DaemonParts = {},
): Promise<Daemon> {
  const { stateDir } = config;
  await openStateDirectory(stateDir);
  await using undo = new AsyncDisposableStack();
  // First of all: its lock keeps a second daemon from touching anything else.
  const database = await openDatabase(join(stateDir, "db"));
  const store = undo.use(await Store.open(wrapDatabase(database), openWitness(join(stateDir, "db"))));
  const ca = await openCa(join(stateDir, "pki"), [config.address, daemonTlsName], () => new Date());
  const secrets = await openSecretVault(join(stateDir, "pki"), [...store.state.secrets.values()], (error) =>
    log.error(error.message),
  );
  const failed = Promise.withResolvers<Error>();
  const delivery = undo.use(await startDataPlane(deliveryOptions(config, ca), log));

  const images = new ImageStore(join(stateDir, "images"), ca.signManifest, config.imageQuota);
  await images.removeLeftovers();
  const files = new FileStore(join(stateDir, "files"), clock);
  const fetched = await FetchedFiles.open(join(stateDir, "fetched"), (path) =>
    log.warn({ path }, "the record of a fetched file cannot be read"),
  );
  const hub = new WatchHub(store);
  const sessions = new Sessions();
  const power = createPowerDrivers();
  const logs = new StepLogs(join(stateDir, "logs"));
  const effects = new Effects(power, sessions, logs, log);
  const engine = new Engine({
    store,
    clock,
    steady: () => performance.now(),
    log,
    act: wrapAct((what) => effects.act(engine, what)),
    publish: (changes) => hub.publish(changes),
    fatal: failed.resolve,
  });
  const context = {
    delivery,
    engine,
    store,
    hub,
    sessions,
    progress: new ProgressBoard(),
    logs,
    images,
    secrets,
    files,
    fetched,
    power,
    ca,
    log,
    clock,
  };
  await engine.decide(restarted);
  undo.use(collectFiles(context));
  const socketPath = join(stateDir, "muster.sock");
  const listeners = await listen(context, config, socketPath);
  undo.defer(() => listeners.stop());
  const boot = undo.use(await startBoot(config, engine, ca, listeners, log));
  const timer = setInterval(() => engine.decide(tick).catch(() => {}), tickMs);
  listeners.ready(boot.httpBase);
  log.info(
    { stateDir, address: config.address, http: boot.httpBase, dhcp: config.bootInterface ?? "off" },
    "the daemon is ready",
  );

  const parts = undo.move();
  return {
    socketPath,
    failed: failed.promise,
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      sessions.closeAll();
      hub.close();
      await engine.idle();
      await parts.disposeAsync();
    },
  };
}

function deliveryOptions(config: DaemonConfig, { ticketKey }: Ca): DeliveryOptions {
  return {
    directory: join(config.stateDir, "images"),
    address: config.address,
    grpcPort: config.deliveryPort,
    httpPort: config.deliveryHttpPort,
    ticketKey: Buffer.from(ticketKey).toString("base64url"),
    limits: { total: config.imageRate, rack: config.imageRateRack, node: config.imageRateNode },
    stallMs,
  };
}

function startBoot(
  config: DaemonConfig,
  engine: Engine,
  ca: Ca,
  ports: Listeners,
  log: Logger,
): Promise<BootServer> {
  const policy: BootPolicy = {
    decide: (machine) => {
      const answer = bootAnswer(engine.state, machine);
      if (answer !== "unknown") return answer;
      if (config.unknownMachines === "ignore") return "ignore";
      engine.decide((decision) => discover(decision, machine)).catch(() => {});
      return "ramdisk";
    },
  };
  const bundle = create(JoinBundleSchema, {
    enrollAddress: `${config.address}:${ports.enrollPort}`,
    agentAddress: `${config.address}:${ports.agentPort}`,
    caCertificate: ca.caPem,
    joinToken: ca.joinToken,
    imageKey: ca.imageKeyPem,
  });
  const { bootInterface, bootRange, bootNetmask, bootPrefix6 } = config;
  const dhcp =
    bootInterface && bootRange
      ? { interface: bootInterface, range: { ...bootRange, netmask: bootNetmask }, prefix6: bootPrefix6 }
      : undefined;
  return startBootServer(
    {
      directory: join(config.stateDir, "boot"),
      address: config.address,
      httpPort: config.httpPort,
      dhcp,
    },
    policy,
    () => toJsonString(JoinBundleSchema, bundle),
    log,
  );
}
