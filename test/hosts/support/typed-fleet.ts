import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { bootClock } from "../../../gateway/clock.ts";
import type { FleetStatus } from "../../../gateway/contract.ts";
import { Load } from "../../drill/clients/load.ts";
import { type EventOf, History } from "../../drill/history.ts";
import { type Balancer, startBalancer } from "../../drill/hosts/balancer.ts";
import { seeded } from "../../drill/random.ts";
import { Pipeline, type Ran } from "../../engine/pipeline/cli.ts";
import { FleetClient, type FleetOutputs } from "./fleet-client.ts";
import type { TestHosts } from "./lab.ts";

/** A few people at once; none of them waits long for an answer. */
const LIGHT = {
  ...{ chats: 2, streams: 1, completions: 0, sockets: 0, bot: null },
  longestTurnMs: 3_000,
  thinkMs: { least: 500, most: 2_000 },
};

/** People who talk to a fleet through a balancer before the fronts of all its hosts. */
export interface People {
  /** Ends it. How many were answered, and what was not, in words. */
  leave(): Promise<{ answered: number; failed: string[] }>;
}

/** A stack on the hosts of a lab, by the commands that people type. */
export class TypedFleet {
  readonly name: string;
  readonly lab: TestHosts;
  readonly #pipeline = new Pipeline();
  readonly #settings: Readonly<Record<string, unknown>>;
  readonly #trusted = getCACertificates("default");
  #outputs: FleetOutputs | null = null;

  /** @param settings of the stack beside target, front and hosts */
  constructor(lab: TestHosts, settings: Readonly<Record<string, unknown>>) {
    this.lab = lab;
    this.name = this.#pipeline.name();
    this.#settings = {
      target: "hosts",
      environment: "staging",
      front: { certificate: "fleet" },
      ...settings,
    };
  }

  /** Writes which hosts it is made of, as a person edits the file; the next `up` makes it so. */
  hosts(names: readonly string[]): void {
    const hosts = names.map((name) => this.lab.connection(name));
    this.#pipeline.settings(this.name, { ...this.#settings, hosts });
  }

  /** `./fleet <args> --stack <name>`, which must succeed. */
  ok(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
    return this.#pipeline.ok([...args, "--stack", this.name], env);
  }

  /** The same with `--json`; what it printed. */
  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse((await this.ok([...args, "--json"])).stdout) as T;
  }

  /**
   * `up`, twice at most: on a machine that is very busy a step may end too late, and a person is told to run it
   * again. Returns what it said.
   */
  async up(env: NodeJS.ProcessEnv = {}): Promise<string> {
    const args = ["up", "--yes"];
    const { stdout, stderr } = await this.ok(args, env).catch(() => this.ok(args, env));
    if (!this.#outputs) {
      this.#outputs = await this.json<FleetOutputs>("output", "--show-secrets");
      setDefaultCACertificates([...this.#trusted, this.#outputs.caCertificate]);
    }
    return stdout + stderr;
  }

  get outputs(): FleetOutputs {
    if (!this.#outputs) throw new Error(`${this.name} was not brought up yet`);
    return this.#outputs;
  }

  get client(): FleetClient {
    return new FleetClient(this.outputs);
  }

  /** Node of each shard, by the fleet's own word. Throws unless all of them serve. */
  async owners(): Promise<Record<string, string>> {
    const { shards } = await this.status();
    const bad = shards.filter(({ state, owner }) => state !== "serving" || owner === null);
    if (bad.length > 0) throw new Error(bad.map(({ id, state }) => `${id} is ${state}`).join(", "));
    return Object.fromEntries(shards.map(({ id, owner }) => [id, owner as string]));
  }

  status(): Promise<FleetStatus> {
    return this.client.status();
  }

  /** People begin to talk to it. The balancer knows all hosts of the lab, and asks those that are ready. */
  async people(): Promise<People> {
    const { caCertificate, token, adminToken } = this.outputs;
    const addresses = this.lab.hosts.map(({ address }) => address);
    const balancer: Balancer = await startBalancer(addresses, caCertificate);
    const startedAt = new Date().toISOString();
    const none = { nodes: [], shards: [], faults: [], release: "", command: "" };
    const history = new History({ seed: 0, minutes: 0, startedAt, ...none }, bootClock);
    const target = { endpoint: balancer.endpoint, token, adminToken };
    const load = new Load(history, target, seeded(1), null);
    load.start(LIGHT);
    return {
      leave: async () => {
        await load.finish();
        await balancer.close();
        const of = <T extends "answered" | "failed">(type: T) =>
          history.events.filter((event): event is EventOf<T> => event.type === type);
        const failed = of("failed").map(({ t, code, detail }) => `${t} ms: ${code} ${detail}`);
        return { answered: of("answered").length, failed };
      },
    };
  }

  /** Everything but the hosts. What `destroy` left on them is the lab's. */
  remove(): void {
    setDefaultCACertificates(this.#trusted);
    this.#pipeline.remove();
  }
}
