// MCollective with RabbitMQ, as Fuel had it: a broker, a daemon for every host, and one client that asks all of them
// round after round. Debian's mcollective, mcollective-client, rabbitmq-server and ruby-stomp.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./free-port.ts";
import { cpuOf, timed } from "./timed.ts";

const startLimitMs = 60_000;
/** Ruby programs of the peer; the task starts /bin/true, as an agent's would. */
const agent = `module MCollective
  module Agent
    class Bench < RPC::Agent
      action "noop" do
        reply[:exitcode] = Process.wait2(Process.spawn("/bin/true"))[1].exitstatus
      end
    end
  end
end
`;
const ddl = `metadata :name => "bench", :description => "nothing", :author => "-", :license => "-",
  :version => "1", :url => "-", :timeout => 10
action "noop", :description => "runs /bin/true" do
  output :exitcode, :description => "exit code", :display_as => "exit code"
end
`;
const client = `require "mcollective"
include MCollective::RPC
names = (0...Integer(ARGV[1])).map { |i| "n#{i}" }
options = MCollective::Util.default_options.merge(:config => ARGV[0])
MCollective::Config.instance.loadconfig ARGV[0]
bench = rpcclient "bench", :options => options
bench.progress = false
bench.discover :nodes => names
bench.noop
begun = Process.clock_gettime Process::CLOCK_MONOTONIC
Integer(ARGV[2]).times do
  answers = bench.noop
  abort "#{answers.size} answers" unless answers.size == names.size
end
puts Process.clock_gettime(Process::CLOCK_MONOTONIC) - begun
`;

export class MCollective implements AsyncDisposable {
  readonly #directory: string;
  readonly #hosts: number;
  readonly #processes: ChildProcess[] = [];
  #stompPort = 0;

  private constructor(directory: string, hosts: number) {
    this.#directory = directory;
    this.#hosts = hosts;
  }

  static async start(directory: string, hosts: number): Promise<MCollective> {
    const peer = new MCollective(directory, hosts);
    try {
      await peer.#startBroker();
      await peer.#startDaemons();
    } catch (error) {
      await peer[Symbol.asyncDispose]();
      throw error;
    }
    return peer;
  }

  /** Seconds of wall time of the rounds, and of CPU of the broker, the daemons and the whole client. */
  async rounds(count: number): Promise<{ seconds: number; cpuSeconds: number }> {
    const before = this.#cpuSeconds();
    const script = path.join(this.#directory, "client.rb");
    const { stdout, cpuSeconds } = await timed(
      `ruby ${script} ${path.join(this.#directory, "client.cfg")} ${this.#hosts} ${count}`,
    );
    return { seconds: Number(stdout.trim()), cpuSeconds: cpuSeconds + this.#cpuSeconds() - before };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The broker is asked last, so that nobody tries to connect again meanwhile.
    for (const child of this.#processes.reverse()) {
      child.kill("SIGTERM");
      for (let tries = 0; tries < 100 && child.exitCode === null && child.signalCode === null; tries++)
        await sleep(50);
      child.kill("SIGKILL");
    }
  }

  async #startBroker(): Promise<void> {
    const directory = this.#directory;
    const [amqp, stomp, distribution, epmd] = await Promise.all([
      freePort(),
      freePort(),
      freePort(),
      freePort(),
    ]);
    const write = (name: string, text: string) => writeFileSync(path.join(directory, name), text);
    write("enabled_plugins", "[rabbitmq_stomp].\n");
    write("definitions.json", JSON.stringify(definitions()));
    write(
      "rabbitmq.conf",
      `listeners.tcp.1 = 127.0.0.1:${amqp}\nstomp.listeners.tcp.1 = 127.0.0.1:${stomp}\n` +
        `load_definitions = ${directory}/definitions.json\n`,
    );
    // Erlang's port mapper would stay behind: it is a child of ours instead.
    const env = { ERL_EPMD_PORT: `${epmd}`, ERL_EPMD_ADDRESS: "127.0.0.1" };
    this.#spawn("epmd", "epmd", [], env);
    this.#spawn("broker", "/usr/lib/rabbitmq/bin/rabbitmq-server", [], {
      ...env,
      HOME: directory,
      RABBITMQ_NODENAME: "bench@localhost",
      RABBITMQ_MNESIA_BASE: path.join(directory, "db"),
      RABBITMQ_LOG_BASE: path.join(directory, "log"),
      RABBITMQ_ENABLED_PLUGINS_FILE: path.join(directory, "enabled_plugins"),
      RABBITMQ_CONFIG_FILE: path.join(directory, "rabbitmq"),
      RABBITMQ_CONF_ENV_FILE: "/dev/null",
      RABBITMQ_DIST_PORT: `${distribution}`,
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1}",
    });
    await this.#until("the broker", () => this.#log("broker").includes("completed with"));
    this.#stompPort = stomp;
  }

  async #startDaemons(): Promise<void> {
    const directory = this.#directory;
    mkdirSync(path.join(directory, "plugins/mcollective/agent"), { recursive: true });
    writeFileSync(path.join(directory, "plugins/mcollective/agent/bench.rb"), agent);
    writeFileSync(path.join(directory, "plugins/mcollective/agent/bench.ddl"), ddl);
    writeFileSync(path.join(directory, "client.rb"), client);
    writeFileSync(path.join(directory, "facts.yaml"), "{}\n");
    this.#configure("client");
    for (let i = 0; i < this.#hosts; i++) {
      const config = this.#configure(`n${i}`);
      this.#spawn(`n${i}`, "mcollectived", ["--config", config, "--no-daemonize"], {});
    }
    const answers = async () =>
      timed(`ruby ${directory}/client.rb ${directory}/client.cfg ${this.#hosts} 1`).then(
        () => true,
        () => false,
      );
    await this.#until("its daemons", answers);
  }

  #configure(name: string): string {
    const file = path.join(this.#directory, `${name}.cfg`);
    const settings = {
      main_collective: "mcollective",
      collectives: "mcollective",
      libdir: `${this.#directory}/plugins:/usr/lib/ruby/vendor_ruby`,
      logger_type: "file",
      logfile: `${this.#directory}/${name}.log`,
      loglevel: "warn",
      securityprovider: "psk",
      "plugin.psk": "bench",
      connector: "rabbitmq",
      "plugin.rabbitmq.vhost": "/",
      "plugin.rabbitmq.pool.size": "1",
      "plugin.rabbitmq.pool.1.host": "127.0.0.1",
      "plugin.rabbitmq.pool.1.port": `${this.#stompPort}`,
      "plugin.rabbitmq.pool.1.user": "mco",
      "plugin.rabbitmq.pool.1.password": "mco",
      factsource: "yaml",
      "plugin.yaml": `${this.#directory}/facts.yaml`,
      direct_addressing: "1",
      daemonize: "0",
      identity: name,
      registerinterval: "0",
    };
    writeFileSync(
      file,
      Object.entries(settings)
        .map(([key, value]) => `${key} = ${value}\n`)
        .join(""),
    );
    return file;
  }

  /** Ends with the bench, also when that is killed. */
  #spawn(name: string, program: string, argv: string[], env: Record<string, string>): void {
    const log = path.join(this.#directory, `${name}.out`);
    const command = ["--pdeathsig", "KILL", "sh", "-c", 'log=$1; shift; exec "$@" >"$log" 2>&1', "sh", log];
    const child = spawn("setpriv", [...command, program, ...argv], {
      stdio: "ignore",
      env: { ...process.env, ...env },
    });
    this.#processes.push(child);
  }

  #log(name: string): string {
    const file = path.join(this.#directory, `${name}.out`);
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }

  /** Of everything but clients. The broker's shell waits for Erlang, which is counted where it runs. */
  #cpuSeconds(): number {
    return this.#processes.reduce((sum, { pid }) => sum + (pid ? treeCpu(pid) : 0), 0);
  }

  async #until(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = performance.now() + startLimitMs;
    while (!(await check())) {
      if (performance.now() > deadline)
        throw new Error(`MCollective: ${what} did not start: ${this.#log("broker").slice(-500)}`);
      await sleep(200);
    }
  }
}

/** CPU seconds of a process and of all below it that live. */
function treeCpu(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
  return children.reduce((sum, child) => sum + treeCpu(Number(child)), cpuOf(pid));
}

function definitions() {
  const salt = Buffer.from([1, 2, 3, 4]);
  const hash = createHash("sha256").update(salt).update("mco").digest();
  const exchange = (name: string, type: string) => ({
    name,
    vhost: "/",
    type,
    durable: true,
    auto_delete: false,
    internal: false,
    arguments: {},
  });
  return {
    users: [
      {
        name: "mco",
        password_hash: Buffer.concat([salt, hash]).toString("base64"),
        hashing_algorithm: "rabbit_password_hashing_sha256",
        tags: "administrator",
      },
    ],
    vhosts: [{ name: "/" }],
    permissions: [{ user: "mco", vhost: "/", configure: ".*", write: ".*", read: ".*" }],
    exchanges: [
      exchange("mcollective_broadcast", "topic"),
      exchange("mcollective_directed", "direct"),
      exchange("mcollective_reply", "direct"),
    ],
  };
}
