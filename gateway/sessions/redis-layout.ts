import { createHash } from "node:crypto";

/**
 * What a fleet keeps in Redis or Valkey, and what such a server must be: the one place that the runtime
 * and whoever sets a server up agree on. Version 7 at least (`SET … NX GET`).
 *
 * Every key is `ocf:{TAG}:FLEET:KIND:…`. The hash tag keeps what belongs together in one slot of a
 * cluster; keys are spread over {@link BUCKETS} tags.
 *
 * | kind | type | holds | lives |
 * |---|---|---|---|
 * | `s:AGENT:HASH` | string | shard of a session | {@link REDIS_KEEP}.sessionMs since its last use |
 * | `c:KEY` | hash | claim of an idempotency key: `body`, `run`, and `answer` once it is done | its claim and a day; done: as told |
 * | `w:KEY` | string | run id of who works on it | as long as the claim holds |
 * | `r:BUCKET` | string | nothing: how long it lives is how full the bucket of a rate limit is | until it has drained |
 * | `g` | string | marker, another one after a loss | {@link REDIS_KEEP}.markerMs since it was read |
 * | `n` | string | last count of all sessions, JSON; in the first bucket only | seconds |
 */

/**
 * Hash tags, each in the middle of another 32nd of a cluster's slots: any number of masters with equal
 * ranges gets an equal share, whatever the fleet is called.
 */
export const TAGS = (
  "6u by 25 f9 0n db o2 gg 8c 06 4g 4v ed m1 fa 2m " +
  "k4 ca 4h x5 63 ez 2s yk z6 6k ab i7 c9 0p gy 40"
).split(" ");

export const BUCKETS = TAGS.length;

/** Times to live of what has no time of its own, ms. */
export const REDIS_KEEP = {
  /** What a gateway still lists is put back in time (router/session-map.ts), so only dead entries end. */
  sessionMs: 30 * 86_400_000,
  markerMs: 30 * 86_400_000,
} as const;

/** Answers are stored while less of a server's `maxmemory` is used; the rest is for sessions and claims. Percent. */
export const ANSWERS_UP_TO_PERCENT = 60;

/** Commands that the runtime's user needs, as rules of an ACL. */
export const REDIS_ACL = "+@all -@dangerous +info";

/** What every server of a fleet must be set to. */
export const REDIS_SERVER_SETTINGS = {
  // A forgotten claim would let a turn run twice; a refused write is seen.
  "maxmemory-policy": "noeviction",
} as const;

/** A master that was cut off from its replicas takes no writes, so that two masters never map one session. */
export const REDIS_REPLICATED_SETTINGS = {
  "min-replicas-to-write": "1",
  "min-replicas-max-lag": "5",
  // A replica that must be copied anew counts soon; Redis waits 5 s for others to share the copy.
  "repl-diskless-sync-delay": "0",
} as const;

const digest = (text: string) => createHash("sha256").update(text).digest();

/** Names of one fleet's keys. */
export class RedisKeys {
  readonly #fleet: string;

  /** @param fleet name of the fleet; several may share a server. */
  constructor(fleet: string) {
    // Colons part a key; other signs mean something in a pattern.
    this.#fleet = fleet.replace(/[^A-Za-z0-9_.-]/g, (sign) => `%${sign.codePointAt(0)}`);
  }

  /** A session's name is hashed: it may be long, and people put addresses into it. */
  session(agent: string, session: string): { bucket: number; key: string } {
    const hash = digest(`${agent}\0${session}`);
    const bucket = (hash[0] as number) % BUCKETS;
    return { bucket, key: `${this.#in(bucket)}:s:${agent}:${hash.toString("base64url", 1, 17)}` };
  }

  /** Both in one slot: scripts take them together. */
  claim(key: string): { bucket: number; record: string; working: string } {
    const bucket = (digest(key)[0] as number) % BUCKETS;
    return {
      bucket,
      record: `${this.#in(bucket)}:c:${key}`,
      working: `${this.#in(bucket)}:w:${key}`,
    };
  }

  /** @param name of the bucket of a rate limit; it holds a hash or an agent's name */
  rate(name: string): { bucket: number; key: string } {
    const bucket = (digest(name)[0] as number) % BUCKETS;
    return { bucket, key: `${this.#in(bucket)}:r:${name}` };
  }

  marker(bucket: number): string {
    return `${this.#in(bucket)}:g`;
  }

  get counts(): string {
    return `${this.#in(0)}:n`;
  }

  /** Matches every key of the fleet. */
  get all(): string {
    return `ocf:{??}:${this.#fleet}:*`;
  }

  /** Matches the keys of all sessions. */
  get sessions(): string {
    return `ocf:{??}:${this.#fleet}:s:*`;
  }

  /** Bucket and agent of a session's key; null when it is none. */
  parse(key: string): { bucket: number; agent: string } | null {
    const found = /^ocf:\{(..)\}:[^:]*:s:([^:]*):/.exec(key);
    if (!found) return null;
    return { bucket: TAGS.indexOf(found[1] as string), agent: found[2] as string };
  }

  #in(bucket: number): string {
    return `ocf:{${TAGS[bucket]}}:${this.#fleet}`;
  }
}
