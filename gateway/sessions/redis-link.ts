import { Cluster, type ClusterOptions, Redis, type RedisOptions } from "ioredis";
import type { Clock } from "../clock.ts";
import { StoreUnavailable } from "../leases/store.ts";
import { SCRIPTS, type Scripts } from "./redis-scripts.ts";
import { addressesOf, type RedisTarget } from "./redis-url.ts";

const OPERATION_MS = 500;
/** The client itself gives a command up after this; no operation waits longer, ms. */
const COMMAND_MS = 2_000;
/** A connection on which nothing arrives for this long while an answer is due is given up, ms. */
const SILENCE_MS = 1_500;
const CONNECT_MS = 1_500;
/** Operations wait for a connection that was lost this recently, else they fail at once, ms. */
const PATIENCE_MS = 2_000;
/** After one operation timed out, one a second tries again and the others fail at once, ms. */
const RETRY_EVERY_MS = 1_000;
/** The part of the store to which operations on many buckets belong. */
export const EVERYWHERE = -1;
/** Operations under way at once; more fail at once. */
const MAX_UNDER_WAY = 1_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;
/** Faults of an unchanged kind are told again after this, ms. */
const TELL_EVERY_MS = 30_000;

export type RedisClient = (Redis | Cluster) & Scripts;

export interface LinkDeps {
  target: RedisTarget;
  clock: Clock;
  log: { warn(message: string): void };
  /** Longest any operation on one key waits, all retries included, ms. @default 500 */
  operationMs?: number;
  /** @default Math.random */
  random?: () => number;
}

/**
 * The way to Redis: one client for one server, Sentinels or a cluster. Nothing that is asked over it
 * waits longer than its limit; while Redis is away, everything fails at once with StoreUnavailable, and
 * the client goes on connecting in pauses of up to two seconds.
 */
export class RedisLink {
  readonly #deps: LinkDeps;
  readonly #operationMs: number;
  #client: Redis | Cluster;
  #ready = false;
  #closed = false;
  /** Since when there is no connection; the beginning counts. */
  #lostAt: number;
  #fault = "not connected yet";
  #underWay = 0;
  readonly #waiting = new Set<() => void>();
  /** When a part of the store that timed out may be tried again. */
  readonly #shunned = new Map<number, number>();
  readonly #told = new Map<string, number>();
  /** Clients in a row that ended before they were ready, and the pause before the next. */
  #ends = 0;
  #next: NodeJS.Timeout | undefined;

  constructor(deps: LinkDeps) {
    this.#deps = deps;
    this.#operationMs = deps.operationMs ?? OPERATION_MS;
    this.#lostAt = deps.clock.now();
    this.#client = this.#connect(deps.target.mode);
  }

  /**
   * One operation. `part` is what fails together: the bucket of its keys, or {@link EVERYWHERE}. Throws
   * StoreUnavailable, when its time is over at the latest (`atLeastMs` for what may take longer); whether
   * a write happened is then unknown.
   */
  async run<T>(part: number, work: (client: RedisClient) => Promise<T>, atLeastMs = 0): Promise<T> {
    const limitMs = Math.max(this.#operationMs, atLeastMs);
    if (this.#underWay >= MAX_UNDER_WAY) {
      throw new StoreUnavailable(`Redis is slow: ${MAX_UNDER_WAY} operations wait for it already`);
    }
    const shunned = this.#client instanceof Cluster ? part : 0;
    this.#mayTry(shunned);
    this.#underWay += 1;
    // It counts until the client gives it up, which may be later than the caller does.
    const running = this.#whenReady(limitMs)
      .then(() => work(this.#client as RedisClient))
      .finally(() => {
        this.#underWay -= 1;
      });
    let timer: NodeJS.Timeout | undefined;
    let immediate: NodeJS.Immediate | undefined;
    const late = new Promise<never>((_, reject) => {
      const over = () => {
        this.#shunned.set(shunned, this.#deps.clock.now() + RETRY_EVERY_MS);
        reject(new StoreUnavailable(`Redis gave no answer within ${limitMs} ms`));
      };
      // A busy process sees its timers before the answers that came meanwhile: those are read first.
      timer = setTimeout(() => {
        immediate = setImmediate(over);
      }, limitMs);
    });
    try {
      const result = await Promise.race([running, late]);
      this.#shunned.delete(shunned);
      return result;
    } catch (error) {
      throw this.#unavailable(error);
    } finally {
      clearTimeout(timer);
      clearImmediate(immediate);
    }
  }

  /** Clients of all masters; those of a cluster as far as it is known. */
  masters(): Redis[] {
    return this.#client instanceof Cluster ? this.#client.nodes("master") : [this.#client];
  }

  /** This server is not what it was taken for: look again who is master. */
  reconnect(): void {
    if (this.#client instanceof Redis) this.#client.disconnect(true);
  }

  close(): void {
    this.#closed = true;
    this.#fault = "closed";
    this.#lost();
    this.#lostAt = Number.NEGATIVE_INFINITY;
    this.#wake();
    clearTimeout(this.#next);
    this.#client.disconnect();
  }

  #mayTry(part: number): void {
    const again = this.#shunned.get(part);
    if (again === undefined) return;
    const now = this.#deps.clock.now();
    if (now < again) throw new StoreUnavailable("Redis gave no answer a moment ago");
    // This one tries; the others wait for what it finds.
    this.#shunned.set(part, now + RETRY_EVERY_MS);
  }

  async #whenReady(limitMs: number): Promise<void> {
    if (this.#ready) return;
    if (this.#deps.clock.now() - this.#lostAt < PATIENCE_MS) {
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          this.#waiting.delete(done);
          resolve();
        };
        const timer = setTimeout(done, limitMs);
        this.#waiting.add(done);
      });
    }
    if (!this.#ready) throw new StoreUnavailable(`Redis is away: ${this.#fault}`);
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done();
  }

  #connect(mode: RedisTarget["mode"]): Redis | Cluster {
    const client = mode === "cluster" ? this.#cluster() : this.#single();
    client.on("error", (error: Error) => {
      if (client === this.#client) this.#fault = error.message;
    });
    client.on("close", () => {
      if (client === this.#client) this.#lost();
    });
    client.on("ready", () => void this.#arrived(client, mode));
    client.on("end", () => this.#ended(client, mode));
    return client;
  }

  /**
   * A client never goes on after its end. One comes unasked (ioredis 6.0.0): Sentinels announce a new master while they
   * are being asked for it, as they do when the old one was lost with its host.
   */
  #ended(client: Redis | Cluster, mode: RedisTarget["mode"]): void {
    if (client !== this.#client || this.#closed) return;
    this.#lost();
    this.#ends += 1;
    this.#next = setTimeout(() => {
      this.#client = this.#connect(mode);
    }, this.#pause(this.#ends));
  }

  #single(): Redis {
    const { target } = this.#deps;
    const [node] = target.nodes;
    const sentinels =
      target.mode === "sentinel"
        ? {
            sentinels: target.nodes,
            name: target.master,
            // Told by the Sentinels, it leaves a master that hangs or was cut off.
            failoverDetector: true,
            sentinelCommandTimeout: COMMAND_MS,
            sentinelRetryStrategy: (times: number) => this.#pause(times),
            ...defined("sentinelUsername", target.sentinelUsername),
            ...defined("sentinelPassword", target.sentinelPassword),
            ...(target.tls ? { enableTLSForSentinelMode: true, sentinelTLS: target.tls } : {}),
          }
        : { ...node };
    return new Redis({
      ...this.#common(),
      ...sentinels,
      db: target.db,
      enableOfflineQueue: false,
      retryStrategy: (times) => this.#pause(times),
      scripts: SCRIPTS,
    });
  }

  #cluster(): Cluster {
    const { target } = this.#deps;
    const options: ClusterOptions = {
      redisOptions: this.#common(),
      enableOfflineQueue: false,
      maxRedirections: 4,
      retryDelayOnFailover: 100,
      retryDelayOnClusterDown: 200,
      slotsRefreshTimeout: CONNECT_MS,
      slotsRefreshInterval: 5_000,
      clusterRetryStrategy: (times) => this.#pause(times),
      // Certificates name hosts: a cluster that announces names is not resolved to addresses first.
      ...(target.tls ? { dnsLookup: (host, found) => found(null, host) } : {}),
      scripts: SCRIPTS,
    };
    return new Cluster(target.nodes, options);
  }

  #common(): RedisOptions {
    const { target } = this.#deps;
    return {
      ...defined("username", target.username),
      ...defined("password", target.password),
      ...(target.tls ? { tls: target.tls } : {}),
      protocol: 2,
      disableClientInfo: true,
      connectTimeout: CONNECT_MS,
      commandTimeout: Math.max(COMMAND_MS, this.#operationMs),
      socketTimeout: SILENCE_MS,
      // What was under way when a connection broke fails: whoever asked decides what it means.
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      // A master that was demoted: connecting again asks who is master now.
      reconnectOnError: (error) => error.message.startsWith("READONLY"),
    };
  }

  async #arrived(client: Redis | Cluster, mode: RedisTarget["mode"]): Promise<void> {
    if (client !== this.#client || this.#closed) return;
    if (mode === "auto" && (await partOfCluster(client as Redis))) {
      if (client !== this.#client || this.#closed) return;
      this.#client = this.#connect("cluster");
      client.disconnect();
      return;
    }
    if (client !== this.#client || client.status !== "ready") return;
    if (this.#told.delete("away")) this.#deps.log.warn("the session store is back");
    this.#ready = true;
    this.#ends = 0;
    this.#shunned.clear();
    this.#wake();
  }

  #lost(): void {
    if (this.#ready) {
      this.#lostAt = this.#deps.clock.now();
      this.#fault = "the connection was lost";
    }
    this.#ready = false;
  }

  #pause(times: number): number {
    const { target } = this.#deps;
    if (!this.#closed) this.#tell("away", `${addressesOf(target)}: ${this.#fault}`);
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(times, 10));
    return pause * (0.5 + (this.#deps.random ?? Math.random)() / 2);
  }

  #unavailable(error: unknown): Error {
    if (error instanceof StoreUnavailable) {
      this.#tell("away", error.message);
      return error;
    }
    // Only the message: the client's errors carry the arguments of their command.
    const message = error instanceof Error ? error.message : String(error);
    if (message.startsWith("OOM")) {
      const full = `Redis is full and refuses writes; give it more memory (maxmemory): ${message}`;
      this.#tell("full", full);
      return new StoreUnavailable(full);
    }
    this.#tell("refused", message);
    return new StoreUnavailable(`Redis: ${message}`);
  }

  #tell(kind: string, message: string): void {
    const now = this.#deps.clock.now();
    if (now - (this.#told.get(kind) ?? Number.NEGATIVE_INFINITY) < TELL_EVERY_MS) return;
    this.#told.set(kind, now);
    this.#deps.log.warn(`the session store is away (conversations go on without it): ${message}`);
  }
}

async function partOfCluster(client: Redis): Promise<boolean> {
  try {
    return /cluster_enabled:1/.test(await client.info("cluster"));
  } catch {
    return false; // a user that may not ask
  }
}

function defined<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: string });
}
