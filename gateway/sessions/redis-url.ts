import { readFileSync } from "node:fs";

/** Where a fleet's Redis or Valkey is, and how it is talked to. */
export interface RedisTarget {
  /** `auto`: one address; a server that says it is part of a cluster is talked to as a cluster. */
  mode: "auto" | "sentinel" | "cluster";
  /** Servers; with Sentinel, the Sentinels. */
  nodes: { host: string; port: number }[];
  /** Name of the master that Sentinels watch; empty without them. */
  master: string;
  username?: string;
  password?: string;
  /** Of the Sentinels themselves. */
  sentinelUsername?: string;
  sentinelPassword?: string;
  db: number;
  /** Null: plain text. */
  tls: { ca?: string; servername?: string } | null;
}

/** An address that cannot be used. Its message holds no user and no password. */
export class RedisUrlError extends Error {
  override readonly name = "RedisUrlError";
}

const SHAPE =
  /^(redis|valkey)(s?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/?#]*)@)?([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?$/;
const HOST = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+)(?::(\d+))?$/;
const PARAMETERS = ["ca", "servername", "sentinel-user", "sentinel-password"];
const DEFAULT_PORT = 6379;
const SENTINEL_PORT = 26379;

const FORMS =
  "redis[s]://user:password@host:port/db, redis[s]+sentinel://user:password@host:port,host:port/master/db or redis[s]+cluster://user:password@host:port,host:port";

/**
 * Reads an address; `name` is what people call it, for errors. Users and passwords are percent-encoded.
 * Parameters: `ca` (file with the authority's certificate), `servername` (when certificates name another
 * host), `sentinel-user`, `sentinel-password`. Throws RedisUrlError.
 */
export function parseRedisUrl(url: string, name = "OPENCLAW_REDIS_URL"): RedisTarget {
  const fail = (why: string): never => {
    throw new RedisUrlError(`${name} is "${withoutSecrets(url)}", ${why}. Write ${FORMS}`);
  };
  const found = SHAPE.exec(url.trim());
  if (!found) return fail("which is no address of a Redis");
  const [, , secure, kind, user, hosts = "", path = "", query = ""] = found;
  const mode = (kind ?? "auto") as RedisTarget["mode"];
  const usual = mode === "sentinel" ? SENTINEL_PORT : DEFAULT_PORT;
  const nodes = hosts.split(",").map((text) => {
    const host = HOST.exec(text);
    const port = Number(host?.[2] ?? usual);
    if (!host || port < 1 || port > 65_535) return fail(`where "${text}" is no host and port`);
    return { host: (host[1] as string).replace(/^\[|\]$/g, ""), port };
  });
  if (mode === "auto" && nodes.length > 1) {
    fail("with several hosts, which only +sentinel and +cluster have");
  }
  const parts = path.split("/").slice(1).filter(Boolean);
  const master = mode === "sentinel" ? (parts.shift() ?? fail("without the master's name")) : "";
  const db = Number(parts.shift() ?? 0);
  if (!Number.isInteger(db) || db < 0 || parts.length > 0) fail("whose database is no number");
  if (mode === "cluster" && db !== 0) fail("and a cluster has database 0 alone");
  const parameters = new URLSearchParams(query);
  for (const given of parameters.keys()) {
    if (!PARAMETERS.includes(given)) fail(`whose parameter "${given}" is none of ${PARAMETERS}`);
  }
  const target: RedisTarget = { mode, nodes, master: decoded(master), db, tls: null };
  if (user !== undefined) {
    const colon = user.indexOf(":");
    const named = decoded(colon < 0 ? user : user.slice(0, colon));
    if (named !== "") target.username = named;
    if (colon >= 0) target.password = decoded(user.slice(colon + 1));
  }
  const sentinelUser = parameters.get("sentinel-user");
  if (sentinelUser) target.sentinelUsername = sentinelUser;
  const sentinelPassword = parameters.get("sentinel-password");
  if (sentinelPassword) target.sentinelPassword = sentinelPassword;
  const ca = parameters.get("ca");
  const servername = parameters.get("servername");
  if (secure)
    target.tls = { ...(ca ? { ca: read(ca) } : {}), ...(servername ? { servername } : {}) };
  else if (ca || servername) fail("with a certificate but without encryption (rediss://)");
  return target;

  function decoded(text: string): string {
    try {
      return decodeURIComponent(text);
    } catch {
      return fail("where a % is not followed by two digits (a % itself is written %25)");
    }
  }
  function read(file: string): string {
    try {
      return readFileSync(file, "utf8");
    } catch (error) {
      return fail(`whose ca cannot be read: ${(error as Error).message}`);
    }
  }
}

/** An address as it may be shown: who and with what is left out. */
export function withoutSecrets(url: string): string {
  return url.replace(/:\/\/.*@/, "://***@").replace(/(password=)[^&]*/g, "$1***");
}

/** Hosts and ports, for people. */
export function addressesOf(target: RedisTarget): string {
  const hosts = target.nodes.map(({ host, port }) => `${host}:${port}`).join(", ");
  return target.mode === "sentinel" ? `${target.master} by Sentinels ${hosts}` : hosts;
}
