// One agent's stream to a server: a channel of its own, a secure one, and back again when it is lost, with the
// back-off of the real agent.
import { createSecureContext } from "node:tls";
import { Client, type ClientDuplexStream, credentials } from "@grpc/grpc-js";
import { Backoff } from "../../node-agent/backoff.ts";
import { daemonTlsName, messageLimits } from "../../proto/rpc/wire.ts";

/** As in the real agent. */
const welcomeTimeoutMs = 15_000;
const channelOptions = {
  ...messageLimits,
  "grpc.use_local_subchannel_pool": 1,
  "grpc.ssl_target_name_override": daemonTlsName,
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 20_000,
  "grpc-node.flow_control_window": 4 << 20,
};

export type Identity = { privateKey: string; certificate: string; caPem: string };

export type Talk<In, Out> = {
  path: string;
  encode(message: Out): Buffer;
  decode(bytes: Buffer): In;
  /** What a new stream begins with. */
  first(): Out[];
  /** True for the server's welcome. */
  receive(message: In): boolean;
};

export class Link<In, Out> {
  readonly #talk: Talk<In, Out>;
  readonly #address: string;
  readonly #secure;
  readonly #backoff = new Backoff();
  #client: Client | undefined;
  #stream: ClientDuplexStream<Out, In> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = true;
  #welcomes = 0;
  #welcome = false;

  constructor(address: string, { privateKey, certificate, caPem }: Identity, talk: Talk<In, Out>) {
    this.#address = address;
    this.#talk = talk;
    this.#secure = credentials.createFromSecureContext(
      createSecureContext({ ca: caPem, key: privateKey, cert: certificate }),
    );
  }

  /** The server has said welcome on the stream that is open now. */
  get welcome(): boolean {
    return this.#welcome;
  }

  /** How often a server has said welcome. */
  get welcomes(): number {
    return this.#welcomes;
  }

  send(message: Out): void {
    this.#stream?.write(message);
  }

  open(afterMs = 0): void {
    this.#closed = false;
    this.#timer = setTimeout(() => this.#connect(), afterMs);
  }

  close(): void {
    this.#closed = true;
    this.#drop();
  }

  #connect(): void {
    const talk = this.#talk;
    this.#client = new Client(this.#address, this.#secure, channelOptions);
    const stream = this.#client.makeBidiStreamRequest<Out, In>(talk.path, talk.encode, talk.decode);
    this.#stream = stream;
    // The stream that has been given up says so once more.
    const lost = () => {
      if (this.#stream === stream) this.#again();
    };
    stream.on("error", lost);
    stream.on("end", lost);
    stream.on("data", (message: In) => {
      if (this.#stream !== stream || !talk.receive(message)) return;
      clearTimeout(this.#timer);
      this.#backoff.reset();
      this.#welcome = true;
      this.#welcomes++;
    });
    this.#timer = setTimeout(lost, welcomeTimeoutMs);
    for (const message of talk.first()) stream.write(message);
  }

  #again(): void {
    this.#drop();
    if (!this.#closed) this.open(this.#backoff.next());
  }

  #drop(): void {
    clearTimeout(this.#timer);
    this.#welcome = false;
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.cancel();
    this.#client?.close();
    this.#client = undefined;
  }
}
