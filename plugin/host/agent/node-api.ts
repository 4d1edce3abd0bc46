import { DRAIN, type FleetStatus } from "../../../gateway/contract.ts";
import { shardServes } from "../../../gateway/readiness.ts";
import { drainInVain, type Emptied } from "../../emptied.ts";
import { seeAlso } from "../../see-also.ts";
import type { NodeApiAccess } from "./protocol.ts";
import { type System, stillWanted } from "./system.ts";

const ANSWER_WITHIN_MS = 5_000;
const LOOK_MS = 500;
/** How long a drain may take: what the node allows itself, and its end. */
const DRAIN_MS = DRAIN.giveUpMs + DRAIN.termTurnsMs + DRAIN.termReleaseMs;
/** As for a node on one machine (plugin/node-steps.ts): boots on a small host go one by one. */
const READY_MS = 300_000;
const READY_PER_SHARD_MS = 60_000;

/**
 * How well a node has to be: every shard of the fleet is served by somebody, the node is one that may take shards,
 * or only its router answers.
 */
export type Serving = "whole" | "joined" | "answers";

/** A node, and the fleet that it is of. */
export interface NodeName {
  readonly node: string;
  readonly fleet: string;
}

/** The fleet as the node on this host shows it, on loopback. */
export class NodeApi {
  readonly #system: System;
  readonly #access: NodeApiAccess;
  readonly #node: string;
  readonly #fleet: string;

  constructor(system: System, access: NodeApiAccess, { node, fleet }: NodeName) {
    this.#system = system;
    this.#access = access;
    this.#node = node;
    this.#fleet = fleet;
  }

  /** Null while the node does not answer. */
  async status(): Promise<FleetStatus | null> {
    try {
      return (await this.#call("GET", "/api/v1/fleet")) as FleetStatus;
    } catch {
      return null;
    }
  }

  /** Nothing is wrong with the fleet as seen from here: every shard serves and the store answers. */
  async whole(): Promise<boolean> {
    const status = await this.status();
    return status?.store.ok === true && status.shards.every(shardServes);
  }

  /** Set aside by somebody. */
  async resting(): Promise<boolean> {
    return this.#self(await this.status())?.state === "maintenance";
  }

  /**
   * Moves every shard off this node and waits until it is empty.
   * @throws Error when it does not get empty
   */
  async drain(): Promise<Emptied> {
    const first = await this.status();
    const inVain = drainInVain(first, this.#node);
    if (inVain) return inVain;
    const mine = first?.shards.filter((s) => s.owner === this.#node).map((s) => s.id) ?? [];
    // It may answer at once or when the node is empty: what counts is what the fleet then shows.
    const order: { refused: string | null } = { refused: null };
    const body = { node: this.#node };
    void this.#call("POST", "/api/v1/fleet/drain", body, DRAIN_MS).catch((error: unknown) => {
      if (error instanceof Refused) order.refused = error.message;
    });
    for (
      const begun = this.#system.now();
      this.#system.now() - begun < DRAIN_MS;
      await this.#system.sleep(LOOK_MS)
    ) {
      stillWanted(this.#system);
      if (order.refused) throw new Error(order.refused);
      const now = await this.status();
      if (!now) continue;
      const here = now.shards.filter((s) => s.owner === this.#node).map((s) => s.id);
      if (here.length > 0) this.#system.say(`draining ${here.join(", ")}`);
      // Somebody else has each of its shards, or the shard cannot run anywhere.
      const away = now.shards
        .filter((s) => mine.includes(s.id) || s.owner === this.#node)
        .every((s) => s.state === "failed" || (s.owner !== null && s.owner !== this.#node));
      if (this.#self(now)?.state === "maintenance" && away) return "emptied";
    }
    throw new Error(`node ${this.#node} did not get empty. ${seeAlso(this.#fleet, "status")}`);
  }

  /** Lets the node take shards again; also when nobody waits any more. */
  async resume(): Promise<void> {
    const stay = new AbortController().signal;
    await this.#call("POST", "/api/v1/fleet/resume", { node: this.#node }, ANSWER_WITHIN_MS, stay);
  }

  /**
   * Waits until the node is as well as that.
   * @throws Error with what is missing
   */
  async untilServing(as: Serving): Promise<void> {
    let last = "its router does not answer";
    let deadline = READY_MS;
    for (
      const begun = this.#system.now();
      this.#system.now() - begun < deadline;
      await this.#system.sleep(LOOK_MS)
    ) {
      stillWanted(this.#system);
      const status = await this.status();
      deadline = READY_MS + READY_PER_SHARD_MS * (status?.shards.length ?? 0);
      const missing = await this.#missing(status, as);
      if (missing === null) return;
      if (missing !== last) this.#system.say(`waiting: ${missing}`);
      last = missing;
    }
    throw new Error(`node ${this.#node} did not serve in time: ${last}`);
  }

  async #missing(status: FleetStatus | null, as: Serving): Promise<string | null> {
    // A fleet without its store has no router that is ready: then it is enough that this one answers.
    const path = as === "whole" ? "/readyz" : "/healthz";
    if (!(await this.#answers(path))) return "its router is not ready";
    if (as === "answers") return null;
    if (!status) return "its router does not say how the fleet is";
    const self = this.#self(status);
    if (!self || self.state === "lost") return `node ${this.#node} has not joined`;
    if (as === "joined") return status.store.ok ? null : "it does not reach the fleet's store";
    const failed = status.shards.find(({ state }) => state === "failed");
    if (failed) {
      throw new Error(
        `shard ${failed.id} cannot run: ${failed.reason ?? "no reason given"}. ${seeAlso(this.#fleet, `logs ${failed.id}`)}`,
      );
    }
    const open = status.shards.filter((shard) => !shardServes(shard));
    return open.length > 0 ? open.map(({ id, state }) => `${id} is ${state}`).join(", ") : null;
  }

  async #answers(path: string): Promise<boolean> {
    try {
      const answer = (await this.#call("GET", path)) as { instanceId?: unknown };
      return answer.instanceId === this.#node;
    } catch {
      return false;
    }
  }

  #self(status: FleetStatus | null) {
    return status?.nodes.find(({ id }) => id === this.#node);
  }

  async #call(
    method: string,
    path: string,
    body?: unknown,
    within = ANSWER_WITHIN_MS,
    signal = this.#system.signal,
  ) {
    const answer = await fetch(`http://127.0.0.1:${this.#access.port}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#access.token}`,
        "content-type": "application/json",
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.any([AbortSignal.timeout(within), signal]),
    });
    const text = await answer.text();
    if (answer.ok) return JSON.parse(text) as unknown;
    throw new Refused(`${path} answered ${answer.status}: ${text.slice(0, 300)}`);
  }
}

/** The node answered, and said no. */
class Refused extends Error {}
