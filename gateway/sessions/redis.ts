import { createHash, randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { bootClock, type Clock } from "../clock.ts";
import { IDEMPOTENCY, type ShardId } from "../contract.ts";
import { StoreUnavailable } from "../leases/store.ts";
import type { RateStore } from "../limits/rates.ts";
import { type Counts, countSessions, dropSessions } from "./redis-all.ts";
import { ANSWERS_UP_TO_PERCENT, BUCKETS, REDIS_KEEP, RedisKeys } from "./redis-layout.ts";
import { EVERYWHERE, RedisLink } from "./redis-link.ts";
import type { RedisTarget } from "./redis-url.ts";
import type { Claim, SessionStore, StoredAnswer } from "./store.ts";

/** Keys taken together in one command of a longer piece of work. */
const PAGE = 500;
/** Longest a piece of work on all sessions takes, ms. */
const ALL_MS = 5_000;
/** An answer of a mebibyte may take longer than a key, ms. */
const ANSWER_MS = 2_000;
/** All of a fleet's sessions are counted at most this often, and for at most a fiftieth of the time. */
const COUNT_EVERY_MS = 5_000;
const COUNT_SHARE = 50;
/** How old knowledge of the servers' memory may be, ms. */
const MEMORY_MS = 5_000;
/** Longer pieces of work that wait for each other. */
const MAX_LONG = 16;

export interface RedisSessionStoreOptions {
  target: RedisTarget;
  /** Name of the fleet: several may share a server. */
  fleet: string;
  log?: { warn(message: string): void };
  /** Longest an operation on one key waits, ms. @default 500 */
  operationMs?: number;
  /** For pauses and ages alone; what is stored ends by Redis's own time. @default bootClock */
  clock?: Clock;
}

/**
 * Sessions and stored answers in Redis or Valkey: one server, Sentinels or a cluster (decisions 165–169).
 *
 * Redis copies to its replicas afterwards, so a failover may lose the newest entries. Therefore the
 * generation holds each master's replication id, which a failover and a restart change: the map is
 * then compared with what the gateways know. Every method fails with StoreUnavailable within its limit.
 */
export class RedisSessionStore implements SessionStore {
  readonly kind = "redis";
  readonly rates: RateStore = {
    charge: (name, costMs, force) => {
      const { bucket, key } = this.#keys.rate(name);
      return this.#link.run(bucket, (redis) => redis.ocfCharge(key, costMs, force ? 1 : 0));
    },
  };
  readonly #link: RedisLink;
  readonly #keys: RedisKeys;
  readonly #clock: Clock;
  readonly #log: { warn(message: string): void };
  #counted: { at: number; keepMs: number; counts: Promise<Counts> } | null = null;
  #memory: { at: number; percent: number } | null = null;
  readonly #dropping = new Map<ShardId, Promise<number>>();
  #long: Promise<unknown> = Promise.resolve();
  #longWaiting = 0;

  constructor(options: RedisSessionStoreOptions) {
    this.#clock = options.clock ?? bootClock;
    this.#log = options.log ?? console;
    this.#keys = new RedisKeys(options.fleet);
    this.#link = new RedisLink({
      target: options.target,
      clock: this.#clock,
      log: this.#log,
      ...(options.operationMs === undefined ? {} : { operationMs: options.operationMs }),
    });
  }

  async assign(agent: string, session: string, shard: ShardId): Promise<ShardId> {
    const { bucket, key } = this.#keys.session(agent, session);
    const before = await this.#link.run(bucket, (redis) =>
      redis.set(key, shard, "PX", REDIS_KEEP.sessionMs, "NX", "GET"),
    );
    return before ?? shard;
  }

  async lookup(agent: string, session: string): Promise<ShardId | null> {
    const { bucket, key } = this.#keys.session(agent, session);
    // It counts as a write, so a master that was demoted does not answer it.
    return this.#link.run(bucket, (redis) => redis.getex(key, "PX", REDIS_KEEP.sessionMs));
  }

  rebuild(entries: { agent: string; session: string; shard: ShardId }[]): Promise<number> {
    return this.#atLength(async (stop) => {
      let added = 0;
      for (let at = 0; at < entries.length; at += PAGE) {
        stop.throwIfAborted();
        const page = entries.slice(at, at + PAGE);
        added += await this.#link.run(EVERYWHERE, (redis) => this.#add(redis, page), ANSWER_MS);
      }
      return added;
    });
  }

  async #add(
    redis: Pick<Redis, "set" | "pexpire">,
    entries: { agent: string; session: string; shard: ShardId }[],
  ): Promise<number> {
    const added = await Promise.all(
      entries.map(async ({ agent, session, shard }) => {
        const { key } = this.#keys.session(agent, session);
        if (await redis.set(key, shard, "PX", REDIS_KEEP.sessionMs, "NX")) return 1;
        // A gateway still knows it: it lives on.
        await redis.pexpire(key, REDIS_KEEP.sessionMs);
        return 0 as number;
      }),
    );
    return added.reduce((sum, one) => sum + one, 0);
  }

  dropShard(shard: ShardId): Promise<number> {
    // Many requests may find out at once that a shard is gone.
    const running = this.#dropping.get(shard);
    if (running) return running;
    const drop = this.#atLength((stop) =>
      dropSessions(this.#link, this.#keys, shard, stop),
    ).finally(() => this.#dropping.delete(shard));
    this.#dropping.set(shard, drop);
    return drop;
  }

  /** May be some seconds old: nodes share one count, since it takes a look at every session. */
  async counts(): Promise<Counts> {
    const now = this.#clock.now();
    if (this.#counted && now - this.#counted.at < this.#counted.keepMs) return this.#counted.counts;
    const counted = { at: now, keepMs: COUNT_EVERY_MS, counts: this.#sharedCount() };
    this.#counted = counted;
    counted.counts.then(
      () => {
        const spent = this.#clock.now() - now;
        counted.keepMs = Math.max(COUNT_EVERY_MS, COUNT_SHARE * spent);
      },
      () => {
        if (this.#counted === counted) this.#counted = null;
      },
    );
    return counted.counts;
  }

  async #sharedCount(): Promise<Counts> {
    const shared = await this.#link.run(0, (redis) => redis.get(this.#keys.counts));
    if (shared !== null) return JSON.parse(shared) as Counts;
    const begun = this.#clock.now();
    const counts = await this.#atLength((stop) => countSessions(this.#link, this.#keys, stop));
    const keepMs = Math.ceil(Math.max(COUNT_EVERY_MS, COUNT_SHARE * (this.#clock.now() - begun)));
    const text = JSON.stringify(counts);
    // A full server keeps no count; it was made all the same.
    await this.#link
      .run(0, (redis) => redis.set(this.#keys.counts, text, "PX", keepMs))
      .catch(() => null);
    return counts;
  }

  async generation(): Promise<string> {
    const hash = createHash("sha256");
    // A cluster loses its masters one by one, so every bucket has a marker of its own.
    const markers = await this.#link.run(EVERYWHERE, (redis) =>
      Promise.all(
        Array.from({ length: BUCKETS }, async (_, bucket) => {
          const key = this.#keys.marker(bucket);
          const known = await redis.getex(key, "PX", REDIS_KEEP.markerMs);
          if (known !== null) return known;
          const fresh = randomUUID();
          return (await redis.set(key, fresh, "PX", REDIS_KEEP.markerMs, "NX", "GET")) ?? fresh;
        }),
      ),
    );
    const histories = await this.#ofMasters("replication", (text) => {
      if (field(text, "role") !== "master") {
        this.#link.reconnect();
        throw new StoreUnavailable("this server is no master any more");
      }
      return field(text, "master_replid");
    });
    return hash.update([...markers, ...histories.sort()].join(" ")).digest("hex");
  }

  async claim(key: string, bodyHash: string, runId: string, ttlMs: number): Promise<Claim> {
    const { bucket, record, working } = this.#keys.claim(key);
    const [outcome, run, answer] = await this.#link.run(
      bucket,
      (redis) => redis.ocfClaim(record, working, bodyHash, runId, ttlMs),
      ANSWER_MS,
    );
    if (outcome === "mismatch") return { outcome };
    if (outcome !== "done") return { outcome, runId: run };
    return { outcome, runId: run, answer: JSON.parse(answer as string) as StoredAnswer };
  }

  async refresh(key: string, runId: string, ttlMs: number): Promise<boolean> {
    const { bucket, record, working } = this.#keys.claim(key);
    return (
      (await this.#link.run(bucket, (redis) => redis.ocfRefresh(record, working, runId, ttlMs))) ===
      1
    );
  }

  async finish(key: string, runId: string, answer: StoredAnswer, keepMs: number): Promise<boolean> {
    const bytes = Buffer.byteLength(answer.body);
    if (bytes > IDEMPOTENCY.maxAnswerBytes) {
      throw new RangeError(
        `an answer of ${bytes} bytes is not stored; the limit is ${IDEMPOTENCY.maxAnswerBytes}`,
      );
    }
    const used = await this.#memoryPercent();
    if (used > ANSWERS_UP_TO_PERCENT) {
      throw new StoreUnavailable(
        `Redis uses ${Math.round(used)} % of its memory: above ${ANSWERS_UP_TO_PERCENT} % answers are not stored, so that sessions still are`,
      );
    }
    const { bucket, record, working } = this.#keys.claim(key);
    const text = JSON.stringify(answer);
    return (
      (await this.#link.run(
        bucket,
        (redis) => redis.ocfFinish(record, working, runId, keepMs, text),
        ANSWER_MS,
      )) === 1
    );
  }

  async abandon(key: string, runId: string): Promise<void> {
    const { bucket, record, working } = this.#keys.claim(key);
    await this.#link.run(bucket, (redis) => redis.ocfAbandon(record, working, runId));
  }

  async ok(): Promise<boolean> {
    return this.generation().then(
      () => true,
      () => false,
    );
  }

  async close(): Promise<void> {
    this.#link.close();
  }

  /** A section of INFO of every master. */
  #ofMasters<T>(section: string, read: (text: string) => T): Promise<T[]> {
    return this.#link.run(EVERYWHERE, () =>
      Promise.all(this.#link.masters().map(async (master) => read(await master.info(section)))),
    );
  }

  /** Of the fullest master; 0 where memory has no limit. */
  async #memoryPercent(): Promise<number> {
    const now = this.#clock.now();
    if (this.#memory && now - this.#memory.at < MEMORY_MS) return this.#memory.percent;
    const each = await this.#ofMasters("memory", (text) => {
      const limit = Number(field(text, "maxmemory"));
      return limit > 0 ? (100 * Number(field(text, "used_memory"))) / limit : 0;
    });
    const percent = Math.max(0, ...each);
    this.#memory = { at: now, percent };
    return percent;
  }

  /** Work on all sessions, one piece after the other and never without end. */
  async #atLength<T>(work: (stop: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#longWaiting >= MAX_LONG) {
      throw new StoreUnavailable(`${MAX_LONG} pieces of work on all sessions wait already`);
    }
    this.#longWaiting += 1;
    const stop = AbortSignal.timeout(ALL_MS);
    const mine = this.#long
      .then(() => work(stop))
      .catch((error: unknown) => {
        if (!stop.aborted) throw error;
        throw new StoreUnavailable(`work on all sessions took longer than ${ALL_MS} ms`);
      })
      .finally(() => {
        this.#longWaiting -= 1;
      });
    this.#long = mine.catch(() => {});
    return mine;
  }
}

function field(info: string, name: string): string {
  return new RegExp(`^${name}:([^\\r\\n]*)`, "m").exec(info)?.[1] ?? "";
}
