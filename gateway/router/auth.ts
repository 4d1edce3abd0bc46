import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { BlockList, isIP } from "node:net";
import type { FleetConfig } from "../config.ts";
import { HEADER } from "../contract.ts";
import { RouterError } from "./errors.ts";

/** Who sent a request. `tokenId` names the token without being one (a hash), for run ids and logs. */
export interface Caller {
  admin: boolean;
  tokenId: string;
}

interface Known {
  digest: Buffer;
  caller: Caller;
}

/**
 * Compares tokens in constant time: both sides are hashed first, so that lengths are equal, and every
 * known token is looked at whichever matches.
 */
export class Tokens {
  #config: FleetConfig | null = null;
  #known: Known[] = [];
  #peer: Buffer = Buffer.alloc(32);
  readonly #read: () => FleetConfig;

  constructor(read: () => FleetConfig) {
    this.#read = read;
  }

  /** The caller behind a token; null when nobody has it. */
  check(token: string): Caller | null {
    this.#refresh();
    const digest = hash(token);
    let found: Caller | null = null;
    for (const known of this.#known) {
      if (timingSafeEqual(known.digest, digest)) found = known.caller;
    }
    return found;
  }

  isPeer(headers: IncomingHttpHeaders): boolean {
    this.#refresh();
    const value = headers[HEADER.peerToken];
    return timingSafeEqual(this.#peer, hash(typeof value === "string" ? value : ""));
  }

  get peerToken(): string {
    return this.#read().tokens.peer;
  }

  #refresh(): void {
    const config = this.#read();
    if (config === this.#config) return;
    this.#config = config;
    this.#peer = hash(config.tokens.peer);
    this.#known = [
      ...config.tokens.client.map((token) => known(token, false)),
      known(config.tokens.admin, true),
    ];
  }
}

function known(token: string, admin: boolean): Known {
  const digest = hash(token);
  return { digest, caller: { admin, tokenId: digest.toString("hex").slice(0, 16) } };
}

function hash(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** Token of `Authorization: Bearer …`; null without the header. */
export function bearer(headers: IncomingHttpHeaders): string | null {
  const value = headers.authorization;
  if (value === undefined) return null;
  return /^bearer +([^\s]+) *$/i.exec(value)?.[1] ?? "";
}

/** Throws `unauthorized` or `forbidden`. */
export function requireCaller(
  tokens: Tokens,
  headers: IncomingHttpHeaders,
  need: "client" | "admin",
): Caller {
  const token = bearer(headers);
  if (token === null) {
    throw new RouterError(
      "unauthorized",
      "no token: send Authorization: Bearer <token> (the stack's output `token`)",
    );
  }
  const caller = tokens.check(token);
  if (!caller) throw new RouterError("unauthorized", "this token is not one of the fleet's");
  if (need === "admin" && !caller.admin) {
    throw new RouterError(
      "forbidden",
      "this needs the admin token (the stack's output `adminToken`)",
    );
  }
  return caller;
}

/** Where a request really came from. */
export interface ClientAddress {
  address: string;
  /** It passed a proxy: one that is trusted, or one that says so itself. */
  proxied: boolean;
}

/** Sets of addresses: single ones, or `10.0.0.0/8`. Unreadable entries are ignored. */
export class AddressSet {
  readonly #list = new BlockList();
  constructor(entries: readonly string[]) {
    for (const entry of entries) {
      const [address = "", bits] = entry.split("/");
      const version = isIP(address);
      if (version === 0) continue;
      const type = version === 6 ? "ipv6" : "ipv4";
      const prefix = bits === undefined ? (version === 6 ? 128 : 32) : Number(bits);
      if (!Number.isInteger(prefix) || prefix < 0 || prefix > (version === 6 ? 128 : 32)) continue;
      this.#list.addSubnet(address, prefix, type);
    }
  }
  has(address: string): boolean {
    const version = isIP(address);
    return version !== 0 && this.#list.check(address, version === 6 ? "ipv6" : "ipv4");
  }
}

/**
 * X-Forwarded-For is believed only from trusted proxies, and only up to the first other address.
 * `certified`: the caller has a certificate of the fleet, so what it forwards is believed. What it does
 * not forward is its own request, but never one of this machine's own: a front beside the router
 * calls from here, too.
 */
export function clientAddress(
  socketAddress: string | undefined,
  headers: IncomingHttpHeaders,
  trusted: AddressSet,
  certified = false,
): ClientAddress {
  let address = plain(socketAddress ?? "");
  const forwarded = headers["x-forwarded-for"];
  const proxied =
    forwarded !== undefined ||
    headers.forwarded !== undefined ||
    headers["x-real-ip"] !== undefined ||
    headers.via !== undefined;
  if (certified && !proxied && !trusted.has(address)) {
    return { address, proxied: isLoopback(address) };
  }
  if (!certified && !trusted.has(address)) return { address, proxied };
  // A trusted proxy may leave its marks out; what comes from it is never a direct caller.
  const chain = (Array.isArray(forwarded) ? forwarded.join(",") : (forwarded ?? ""))
    .split(",")
    .map((part) => plain(part.trim()))
    .filter((part) => isIP(part) !== 0);
  if (certified && chain.length > 0) address = chain.pop() as string;
  while (chain.length > 0 && trusted.has(address)) address = chain.pop() as string;
  return { address, proxied: true };
}

export function isLoopback(address: string): boolean {
  return address === "::1" || /^127\./.test(address);
}

/** IPv4 in IPv6 clothing as plain IPv4. */
function plain(address: string): string {
  return address.startsWith("::ffff:") && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}
