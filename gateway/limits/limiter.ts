import type { FleetConfig } from "../config.ts";
import type { Caller } from "../router/auth.ts";
import type { Log } from "../router/deps.ts";
import { RouterError } from "../router/errors.ts";
import { RATE_WINDOW_MS, type RateStore } from "./rates.ts";

export type Limits = NonNullable<FleetConfig["limits"]>;

export interface LimiterDeps {
  /** Those in force; undefined: none. */
  limits: () => Limits | undefined;
  /** Buckets that all routers share. */
  shared: RateStore | null;
  /** Buckets of this router alone. */
  own: RateStore;
  log: Log;
  /** For how often the loss of the shared buckets is told. @default performance.now */
  now?: () => number;
}

const TELL_EVERY_MS = 60_000;

interface Want {
  bucket: string;
  perMinute: number;
  /** 0: only asks whether it is not over its limit. */
  cost: number;
  /** What is limited, for the error. */
  of: string;
  unit: "requests" | "tokens";
}

/**
 * Limits per token and per agent, of requests and of model tokens a minute. A request is counted before
 * it is brought anywhere; tokens when they were used, so that one answer may go beyond the limit, and the
 * next request waits for it. Administrators are not limited.
 *
 * Shared buckets that cannot be had let requests through, up to the same limits in each router alone: a
 * limit protects a budget, it must not take the service away.
 */
export class Limiter {
  readonly #deps: LimiterDeps;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(deps: LimiterDeps) {
    this.#deps = deps;
  }

  /** False: nothing that this caller does is limited now. */
  limits(caller: Caller): boolean {
    return !caller.admin && this.#deps.limits() !== undefined;
  }

  /** True where the tokens of this caller's answers count: they have to be known then. */
  countsTokensOf(caller: Caller): boolean {
    return !caller.admin && this.#deps.limits()?.perToken?.tokensPerMinute !== undefined;
  }

  /** Throws `rate_limited`, having counted nothing. */
  async admit(caller: Caller, agent: string): Promise<void> {
    const wants = caller.admin ? [] : this.#wants(caller.tokenId, agent);
    if (wants.length === 0) return;
    const waits = await Promise.all(
      wants.map((want) => this.#charge(want.bucket, costMs(want.perMinute, want.cost), false)),
    );
    const waitMs = Math.max(...waits);
    if (waitMs === 0) return;
    await Promise.all(
      wants
        .filter((want, index) => waits[index] === 0 && want.cost > 0)
        .map((want) => this.#charge(want.bucket, -costMs(want.perMinute, want.cost), true)),
    );
    const over = wants[waits.indexOf(waitMs)] as Want;
    const seconds = Math.max(1, Math.ceil(waitMs / 1_000));
    throw new RouterError(
      "rate_limited",
      `${over.of} may use ${over.perMinute} ${over.unit} a minute, and has; try again in ${seconds} s`,
      seconds,
    );
  }

  /** Counts model tokens that an answer to this caller used. Never throws. */
  async spentBy(caller: Caller, tokens: number): Promise<void> {
    const perMinute = this.#deps.limits()?.perToken?.tokensPerMinute;
    if (perMinute === undefined || caller.admin) return;
    await this.#spend(tokenBucket(caller.tokenId), perMinute, tokens);
  }

  /** Counts model tokens that an agent used, for whomever. Never throws. */
  async spentOn(agent: string, tokens: number): Promise<void> {
    const perMinute = this.#deps.limits()?.perAgent?.tokensPerMinute;
    if (perMinute !== undefined) await this.#spend(agentBucket(agent), perMinute, tokens);
  }

  async #spend(bucket: string, perMinute: number, tokens: number): Promise<void> {
    if (tokens > 0) await this.#charge(`${bucket}:t`, costMs(perMinute, tokens), true);
  }

  #wants(tokenId: string, agent: string): Want[] {
    const limits = this.#deps.limits();
    const wants: Want[] = [];
    const add = (limit: Limits["perToken"], bucket: string, of: string) => {
      const { requestsPerMinute, tokensPerMinute } = limit ?? {};
      if (requestsPerMinute !== undefined) {
        wants.push({
          ...{ bucket: `${bucket}:r`, perMinute: requestsPerMinute, cost: 1 },
          ...{ of, unit: "requests" },
        });
      }
      if (tokensPerMinute !== undefined) {
        wants.push({
          ...{ bucket: `${bucket}:t`, perMinute: tokensPerMinute, cost: 0 },
          ...{ of, unit: "tokens" },
        });
      }
    };
    add(limits?.perToken, tokenBucket(tokenId), "this token");
    add(limits?.perAgent, agentBucket(agent), `agent ${agent}`);
    return wants;
  }

  async #charge(bucket: string, cost: number, force: boolean): Promise<number> {
    const { shared, own, log, now = () => performance.now() } = this.#deps;
    if (shared === null) return own.charge(bucket, cost, force);
    try {
      return await shared.charge(bucket, cost, force);
    } catch (error) {
      if (now() - this.#toldAt >= TELL_EVERY_MS) {
        this.#toldAt = now();
        log.warn(
          { error: String(error) },
          "rate limits are not shared now: each router counts by itself",
        );
      }
      return own.charge(bucket, cost, force);
    }
  }
}

const tokenBucket = (tokenId: string): string => `t:${tokenId}`;
const agentBucket = (agent: string): string => `a:${agent}`;
const costMs = (perMinute: number, cost: number): number => (cost * RATE_WINDOW_MS) / perMinute;

/** What counts against a limit of tokens; null when the answer does not say. */
export function countedTokens(
  usage: { input?: number | undefined; output?: number | undefined } | null,
): number {
  return (usage?.input ?? 0) + (usage?.output ?? 0);
}
