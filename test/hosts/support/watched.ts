import { join } from "node:path";
import { bootClock } from "../../../gateway/clock.ts";
import { check } from "../../drill/checker.ts";
import { indexHistory } from "../../drill/checks/index.ts";
import { heldToTheEnd, type Seen, seenIn } from "../../drill/checks/seen.ts";
import { Load, type LoadShape } from "../../drill/clients/load.ts";
import { waitFor } from "../../drill/conditions.ts";
import { type FaultKind, History, type HistoryEntry } from "../../drill/history.ts";
import { placesIn, worldOf } from "../../drill/hosts/driver.ts";
import type { HostsWorld } from "../../drill/hosts/faults.ts";
import { type RecordingModel, startRecordingModel } from "../../drill/model.ts";
import { LeaseWatch } from "../../drill/observe.ts";
import type { Peer } from "../../drill/peer.ts";
import { ProcessWatch } from "../../drill/processes.ts";
import { seeded } from "../../drill/random.ts";
import { evidence } from "../../drill/text.ts";
import type { FleetOutputs } from "./fleet-client.ts";
import type { TestHosts } from "./lab.ts";

/** A turn may wait for others of its kind, for a move and for a boot on a busy machine, ms. */
const ENDED_MS = 300_000;

/**
 * A fleet on a lab's hosts, looked at as a drill does it: every request at its client, every model call at the model,
 * every gateway in /proc, every lease in etcd.
 */
export class WatchedFleet {
  readonly #lab: TestHosts;
  readonly #history: History;
  readonly #watch: ProcessWatch;
  readonly #model: RecordingModel;
  #world: HostsWorld | null = null;
  #leases: LeaseWatch | null = null;
  #load: Load | null = null;
  #changes = 0;

  /** The model first: its address is part of the fleet's settings. */
  static async of(lab: TestHosts, name: string): Promise<WatchedFleet> {
    const header = { seed: 1, minutes: 0, startedAt: new Date().toISOString(), release: "" };
    const nodes = lab.hosts.map(({ name: node }) => node);
    const seen = { nodes, shards: ["s1", "s2"], faults: [], command: name };
    const history = new History({ ...header, ...seen }, bootClock);
    let own: WatchedFleet | null = null;
    const shardOf = (dir: string, pid: number) => own?.world.shardOf(dir, pid) ?? null;
    const watch = new ProcessWatch(
      history,
      shardOf,
      placesIn(() => lab),
    );
    const callerOf = (peer: Peer) => watch.callerOf(peer);
    const model = await startRecordingModel(history, callerOf, () => {}, lab.machine);
    own = new WatchedFleet(lab, history, watch, model);
    return own;
  }

  private constructor(
    lab: TestHosts,
    history: History,
    watch: ProcessWatch,
    model: RecordingModel,
  ) {
    this.#lab = lab;
    this.#history = history;
    this.#watch = watch;
    this.#model = model;
  }

  get modelUrl(): string {
    return this.#model.url;
  }

  get world(): HostsWorld {
    if (!this.#world) throw new Error("the fleet is not there yet");
    return this.#world;
  }

  /** The fleet is there: looks at it from now on, and puts a load on it through a balancer before all its fronts. */
  async begin(outputs: FleetOutputs, shape: LoadShape): Promise<void> {
    const world = await worldOf(this.#lab, outputs);
    this.#world = world;
    this.#history.writeTo(join(world.dataDir, "history.jsonl"));
    this.#watch.start();
    this.#leases = new LeaseWatch(world, this.#history);
    this.#leases.start();
    this.#load = new Load(this.#history, world.target, seeded(1), null);
    this.#load.start(shape);
  }

  /** Each session's shard, found by asking. */
  async probe(session: string): Promise<string> {
    const answer = await this.#load?.probe(session);
    if (!answer?.shard) throw new Error(`nobody answered session ${session}`);
    return answer.shard;
  }

  /**
   * Does a change while the load goes on, waits until the fleet is whole and what was sent meanwhile has ended; returns what
   * was seen of it.
   * @param kind `planned`: nobody may notice it
   * @param change says which host it takes, if it takes one
   */
  async during(
    name: string,
    kind: FaultKind,
    change: (takes: (host: string) => void) => Promise<unknown>,
  ): Promise<Seen> {
    const from = this.#history.now();
    this.#changes += 1;
    const put = (phase: "do" | "heal" | "recovered", target: string, t?: number) => {
      const n = this.#changes;
      const shards = [...this.world.shards];
      const entry: HistoryEntry = {
        type: "fault",
        n,
        name,
        kind,
        phase,
        target,
        shards,
        detail: "",
      };
      this.#history.add(entry, t);
    };
    let target = "the fleet";
    put("do", target);
    await change((host) => {
      target = host;
    });
    const to = this.#history.now();
    const { signal } = new AbortController();
    const whole = () => this.#whole();
    await waitFor("the fleet to be whole", ENDED_MS, signal, whole);
    await waitFor("the end of what was sent meanwhile", ENDED_MS, signal, () => {
      const { open } = this.#seen(from, to);
      if (open.length > 0) throw new Error(`no end of ${open.join(", ")}`);
      return true;
    });
    put("recovered", target);
    this.#history.flush();
    return this.#seen(from, to);
  }

  async #whole(): Promise<boolean> {
    const { shards, nodes, store } = await this.world.status();
    const bad = [...shards, ...nodes].filter(({ state }) => !["serving", "active"].includes(state));
    const words = bad.map(({ id, state }) => `${id} ${state}`);
    if (words.length > 0) throw new Error(words.join(", "));
    return store.ok;
  }

  #seen(from: number, to: number): Seen {
    return seenIn(this.#history.events, from, to);
  }

  /** Ends the load; what breaks a law of the drill's. */
  async end(): Promise<string[]> {
    await this.#load?.finish();
    this.#watch.look();
    this.#history.flush();
    const expected = { telegram: false, cron: false, websocket: true, faults: [] };
    const { header, events } = this.#history;
    // Those are judged by whoever knows how slow the machine was.
    const held = indexHistory(events).requests.filter(heldToTheEnd);
    const ids = new Set(held.map(({ invoked }) => invoked.id));
    const judged = events.filter((event) => !("id" in event && ids.has(event.id)));
    const { verdicts } = check(header, judged, expected);
    return verdicts
      .filter(({ status }) => status !== "passed")
      .map((verdict) => `${verdict.law}: ${evidence(verdict)}`);
  }

  /** Ends everything but the lab. @param keep the history stays, for whoever looks why */
  async close(keep: boolean): Promise<void> {
    this.#leases?.stop();
    this.#watch.stop();
    this.#history.flush();
    await this.#world?.stop();
    await this.#model.close();
    await this.#world?.remove(keep);
  }
}
