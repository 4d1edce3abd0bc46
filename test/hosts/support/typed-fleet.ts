import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { expect } from "vitest";
import { NODE_UNIT } from "../../../components/node/unit.ts";
import type { FleetStatus } from "../../../gateway/contract.ts";
import { rank } from "../../../gateway/placement.ts";
import { type Balancer, startBalancer } from "../../drill/hosts/balancer.ts";
import { Pipeline, type Ran } from "../../engine/pipeline/cli.ts";
import { said } from "../../fleet/said.ts";
import { eventually } from "../../support/eventually.ts";
import { FleetClient, type FleetOutputs } from "./fleet-client.ts";
import type { TestHosts } from "./lab.ts";
import { People } from "./people.ts";

/** A boot, or several one after the other, on a machine that does other things too, ms. */
export const SERVES_MS = 600_000;

/** What a stack's settings are in tests; the hosts are named apart. */
export type Settings = Readonly<Record<string, unknown>> & { readonly shards: number };

/** A stack on the hosts of a lab, by the commands that people type. */
export class TypedFleet {
  readonly name: string;
  readonly lab: TestHosts;
  readonly #pipeline = new Pipeline();
  readonly shards: readonly string[];
  readonly #trusted = getCACertificates("default");
  #settings: Readonly<Record<string, unknown>>;
  #outputs: FleetOutputs | null = null;

  /** @param settings of the stack beside target, front and hosts */
  constructor(lab: TestHosts, settings: Settings) {
    this.lab = lab;
    this.name = this.#pipeline.name();
    this.shards = Array.from({ length: settings.shards }, (_, n) => `s${n + 1}`);
    this.#settings = {
      target: "hosts",
      environment: "staging",
      front: { certificate: "fleet" },
      ...settings,
    };
  }

  /** Writes which hosts it is made of, as a person edits the file; the next `up` makes it so. */
  hosts(names: readonly string[]): void {
    this.set({ hosts: names.map((name) => this.lab.connection(name)) });
  }

  /** Writes these settings as well. What a command wrote into the file is gone. */
  set(settings: Readonly<Record<string, unknown>>): void {
    this.#settings = { ...this.#settings, ...settings };
    this.#pipeline.settings(this.name, this.#settings);
  }

  /** `./fleet <args> --stack <name>`, whatever comes of it. */
  run(args: readonly string[]): Promise<Ran> {
    return this.#pipeline.run([...args, "--stack", this.name]);
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
    if (!this.#outputs) await this.readOutputs();
    return stdout + stderr;
  }

  /** Reads how to get in anew: after `up`, and after a change of the authority. */
  async readOutputs(): Promise<void> {
    this.#outputs = await this.json<FleetOutputs>("output", "--show-secrets");
    setDefaultCACertificates([...this.#trusted, this.#outputs.caCertificate]);
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

  /** Node of each shard as these nodes' ranks give it. */
  homes(nodes: readonly string[]): Record<string, string> {
    return Object.fromEntries(this.shards.map((id) => [id, rank(id, nodes)[0] as string]));
  }

  /** Waits until each shard is where these nodes' ranks give it. */
  settled(nodes: readonly string[], ms = SERVES_MS): Promise<void> {
    return eventually(async () => expect(await this.owners()).toEqual(this.homes(nodes)), ms);
  }

  /** Brings each shard there, without the ten minutes that it waits for that by itself. */
  async bringHome(nodes: readonly string[]): Promise<void> {
    for (const [shard, node] of Object.entries(this.homes(nodes))) {
      await this.json("move", shard, node, "--yes");
      await this.json("move", shard, "auto");
    }
    await this.settled(nodes);
  }

  /** Value of a unit's property on each of these hosts. */
  shown(names: readonly string[], property: string, unit = NODE_UNIT): Promise<string[]> {
    const argv = ["systemctl", "show", "--value", "-p", property, unit];
    return Promise.all(
      names.map(async (name) => (await this.lab.host(name).run(argv)).stdout.trim()),
    );
  }

  status(): Promise<FleetStatus> {
    return this.client.status();
  }

  /** What a person said in a session, in order, as far as the pattern finds it. */
  said(session: string, pattern: RegExp): Promise<(string | null)[]> {
    const { endpoint, token } = this.outputs;
    return said(endpoint.replace("https:", "wss:"), token, session, pattern);
  }

  /** People begin to talk to it. The balancer knows all hosts of the lab, and asks those that are ready. */
  async people(): Promise<People> {
    const { caCertificate, token, adminToken } = this.outputs;
    const addresses = this.lab.hosts.map(({ address }) => address);
    const balancer: Balancer = await startBalancer(addresses, caCertificate);
    const target = { endpoint: balancer.endpoint, token, adminToken };
    return new People(
      target,
      () => this.status(),
      () => balancer.close(),
    );
  }

  /** Everything but the hosts. What `destroy` left on them is the lab's. */
  remove(): void {
    setDefaultCACertificates(this.#trusted);
    this.#pipeline.remove();
  }
}
