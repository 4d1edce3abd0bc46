import { expect } from "vitest";
import { bootClock } from "../../../gateway/clock.ts";
import type { FleetStatus, ShardId } from "../../../gateway/contract.ts";
import { indexHistory } from "../../drill/checks/index.ts";
import { heldToTheEnd } from "../../drill/checks/seen.ts";
import { Load } from "../../drill/clients/load.ts";
import type { Target } from "../../drill/clients/types.ts";
import { History } from "../../drill/history.ts";
import { seeded } from "../../drill/random.ts";

/** A few people at once; none of them waits long for an answer. */
const LIGHT = {
  ...{ chats: 2, streams: 1, completions: 0, sockets: 0, bot: null },
  longestTurnMs: 3_000,
  thinkMs: { least: 500, most: 2_000 },
};
const LOOK_EVERY_MS = 1_000;
/** Where a boot takes this long, a request may be held for its whole minute. Alone it takes ten seconds. */
export const SLOW_BOOT_MS = 45_000;

/** What became of what people asked. */
export interface Talked {
  readonly answered: number;
  /** What was not answered, in words. */
  readonly failed: readonly string[];
  /** What got its 503 only after the minute for which routers hold it, in words. Not among the failed ones. */
  readonly held: readonly string[];
  /** Longest time for which a shard was seen starting without a break, ms. */
  readonly longestBootMs: number;
}

/** People who talk to a fleet, and somebody who looks at how long its shards take to start. */
export class People {
  readonly #history: History;
  readonly #load: Load;
  readonly #close: () => Promise<void>;
  readonly #boots: Boots;
  readonly #timer: NodeJS.Timeout;
  #talked: Promise<Talked> | null = null;

  /** @param close what is to be ended behind them */
  constructor(target: Target, status: () => Promise<FleetStatus>, close: () => Promise<void>) {
    const startedAt = new Date().toISOString();
    const none = { nodes: [], shards: [], faults: [], release: "", command: "" };
    this.#history = new History({ seed: 0, minutes: 0, startedAt, ...none }, bootClock);
    this.#load = new Load(this.#history, target, seeded(1), null);
    this.#close = close;
    this.#boots = new Boots(status);
    this.#timer = setInterval(() => void this.#boots.look(), LOOK_EVERY_MS);
    this.#load.start(LIGHT);
  }

  /** Ends it, if it has not ended. */
  leave(): Promise<Talked> {
    this.#talked ??= this.#end();
    return this.#talked;
  }

  /** Ends it: every one of them was answered, and it was more than a few. */
  async noticedNothing(): Promise<void> {
    const { answered, failed, held, longestBootMs } = await this.leave();
    expect(failed).toEqual([]);
    if (longestBootMs < SLOW_BOOT_MS) expect(held).toEqual([]);
    expect(answered).toBeGreaterThan(20);
  }

  async #end(): Promise<Talked> {
    await this.#load.finish();
    clearInterval(this.#timer);
    await this.#close();
    const { requests } = indexHistory(this.#history.events);
    const failed: string[] = [];
    const held: string[] = [];
    for (const request of requests) {
      const { outcome } = request;
      if (outcome?.type !== "failed") continue;
      const list = heldToTheEnd(request) ? held : failed;
      list.push(`${outcome.t} ms: ${outcome.code} ${outcome.detail}`);
    }
    const answered = requests.filter(({ outcome }) => outcome?.type === "answered").length;
    return { answered, failed, held, longestBootMs: this.#boots.longestMs };
  }
}

/** How long shards take to start, as the fleet says. */
class Boots {
  readonly #status: () => Promise<FleetStatus>;
  readonly #since = new Map<ShardId, number>();
  longestMs = 0;

  constructor(status: () => Promise<FleetStatus>) {
    this.#status = status;
  }

  /** One look; never rejects: a router that is away shows nothing. */
  async look(): Promise<void> {
    const status = await this.#status().catch(() => null);
    const now = bootClock.now();
    for (const { id, state } of status?.shards ?? []) {
      if (state !== "starting") this.#since.delete(id);
      else if (!this.#since.has(id)) this.#since.set(id, now);
      this.longestMs = Math.max(this.longestMs, now - (this.#since.get(id) ?? now));
    }
  }
}
