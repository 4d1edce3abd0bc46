import { isIP } from "node:net";
import { DRAIN, ERRORS, type ErrorCode, FRONT, HEADER, HOLD } from "../../gateway/contract.ts";
import { ConfigError, type Fault } from "../errors.ts";
import { etcdMembers, etcdSurvives } from "../etcd/plan.ts";
import type { HostContext, HostFacts, HostFile, HostPaths } from "../host/types.ts";
import { HOST_PORTS } from "../host/types.ts";
import { WATCH_PORTS } from "../prometheus/catalog.ts";

/** What both fronts (Nginx, Caddy) are made from, and what they must do alike. */
export interface FrontSettings {
  /** Names of the hosts that carry it. @default every host that runs shards */
  readonly hosts?: readonly string[] | undefined;
  /**
   * Names under which people come, the first one first; an address among them is one that only the certificate
   * knows of. No name: by address, and then only `fleet` or `own`.
   */
  readonly names: readonly string[];
  readonly certificate: FrontCertificate;
  /** @default "least_conn" */
  readonly balancing?: Balancing | undefined;
  /** Redirects to HTTPS, and answers ACME. @default 80 */
  readonly httpPort?: number | undefined;
  /** @default 443 */
  readonly httpsPort?: number | undefined;
  /** Ranges of balancers that speak the PROXY protocol; nobody else is listened to then. @default none */
  readonly proxyProtocolFrom?: readonly string[] | undefined;
  /**
   * Ranges from which the fleet's own API ({@link ADMIN_PATHS}) is reached. Empty: none, and then only over the
   * hosts themselves. The router asks for the admin token in any case. @default everywhere
   */
  readonly adminFrom?: readonly string[] | undefined;
  /** IPv6 beside IPv4. A host whose kernel has none needs false. @default true */
  readonly ipv6?: boolean | undefined;
  /** Of one address; many people can share one. Only Nginx counts. */
  readonly limits?: Partial<FrontLimits> | undefined;
}

export type FrontCertificate =
  /** The fleet's own authority signs; clients must trust it. */
  | { readonly kind: "fleet" }
  /** Somebody's own: secrets `front.cert` (the chain) and `front.key`. */
  | { readonly kind: "own" }
  /** Let's Encrypt, or another authority by the address of its ACME directory. */
  | {
      readonly kind: "acme";
      readonly email?: string | undefined;
      readonly directory?: string | undefined;
      /** On the host: the authority that the directory's own certificate is signed by, when it is no public one. */
      readonly directoryCa?: string | undefined;
    };

export type Balancing = "round_robin" | "least_conn" | "ip_hash";

export interface FrontLimits {
  /** Requests under way at once; an event stream and a WebSocket each are one. */
  readonly connections: number;
  readonly requestsPerSecond: number;
  /** Requests above the rate that pass at once. */
  readonly burst: number;
}

/**
 * What a router holds for a shard without an owner is no flood, also when one address asked for all of it (an
 * office, a provider of webhooks): four shards' worth waits at once, and comes and comes again in one moment.
 * A gateway does 7 turns a second (docs/capacity.md), so the rate keeps a large fleet busy.
 */
const LIMITS: FrontLimits = {
  connections: 4 * HOLD.maxRequests,
  requestsPerSecond: 200,
  burst: 1_000,
};

/**
 * DNS name that every node's certificate carries beside its own names. Nginx compares one name with all
 * of its upstreams' certificates, and knows no addresses in them.
 */
export const ROUTER_NAME = "router.openclaw-fleet.internal";

/** A front for one fleet, the same on every host that carries it. */
export interface FrontPlan {
  readonly names: readonly string[];
  /** Further addresses that its certificate is good for, e.g. the public one of a machine that knows only its own. */
  readonly addresses: readonly string[];
  readonly certificate: FrontCertificate;
  readonly balancing: Balancing;
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly proxyProtocolFrom: readonly string[];
  readonly adminFrom: readonly string[] | null;
  readonly ipv6: boolean;
  readonly limits: FrontLimits;
  /** Hosts that carry a front. */
  readonly fronts: readonly HostFacts[];
  /** Hosts whose routers take requests. */
  readonly routers: readonly HostFacts[];
}

/** What every front is held to, in seconds and bytes. */
export const FRONT_NUMBERS = {
  /** Nothing moved on a stream, a WebSocket or a client's idle connection for this long. */
  idleSeconds: FRONT.idleMs / 1_000,
  /** Idle connections to a router; far below what routers keep. */
  upstreamIdleSeconds: 60,
  connectSeconds: 2,
  /** Head and body of a request; the router has the same limits (guard.ts, body.ts). */
  headSeconds: 20,
  bodyIdleSeconds: 30,
  /** A client that takes nothing is cut. */
  sendSeconds: 60,
  bodyBytes: HOLD.maxBodyBytes,
  headBytes: 16 * 1024,
  /** A router that failed is left alone for this long. */
  failSeconds: 5,
  /** What runs on old settings after a reload may end within this. */
  reloadSeconds: Math.max(FRONT.drainMs, DRAIN.termTurnsMs + DRAIN.termReleaseMs) / 1_000,
} as const;

/**
 * How many routers a request is offered to at most, while it is certain that nothing of it was sent: one more than may
 * be gone at once while the others can still own shards, as two of five hosts may.
 */
export const attemptsOf = ({ routers }: FrontPlan): number =>
  Math.max(2, etcdSurvives(etcdMembers(routers)) + 1);

/** Answers of a front itself, by status: what the router would say in its place. */
export const FRONT_ERRORS: Readonly<Record<number, { code: ErrorCode; message: string }>> = {
  400: { code: "bad_request", message: "this is no valid HTTP request" },
  403: { code: "forbidden", message: "this is not for your address" },
  404: { code: "not_found", message: "there is nothing here" },
  408: { code: "client_timeout", message: "the request did not come in time" },
  413: {
    code: "body_too_large",
    message: `the body is larger than ${FRONT_NUMBERS.bodyBytes / 2 ** 20} MiB`,
  },
  414: { code: "bad_request", message: "the address is too long; send the message with POST" },
  429: { code: "rate_limited", message: "too many requests from your address" },
  431: { code: "bad_request", message: "the headers are too large" },
  502: {
    code: "owner_lost",
    message:
      "the router was lost before it answered; the request may have run, so it was not sent again",
  },
  503: { code: "no_owner", message: "no router takes requests now" },
  504: { code: "in_progress", message: "the router gave no answer in time" },
};

/** Body of an answer of a front itself; `requestId` is what the front's language puts in. */
export function frontError(status: number, requestId: string): string {
  const { code, message } = FRONT_ERRORS[status] as { code: ErrorCode; message: string };
  const { retryable } = ERRORS[code];
  return JSON.stringify({ error: { code, message, retryable, requestId } });
}

/** Headers that every answer carries, as the router sets them when no shard is involved, for what a front says itself. */
export function ownHeaders(host: string, requestId: string): Readonly<Record<string, string>> {
  return {
    [HEADER.shard]: "none",
    [HEADER.epoch]: "0",
    [HEADER.instance]: host,
    [HEADER.requestId]: requestId,
  };
}

/** What a browser may do with an answer: nothing. Only the page at {@link STATUS_PAGE} says its own. */
export const CONTENT_POLICY = {
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
} as const;

/**
 * Headers of every answer, beside {@link CONTENT_POLICY}. A page of somebody else must not frame or guess at what an API
 * says.
 */
export function securityHeaders(plan: FrontPlan): Readonly<Record<string, string>> {
  return {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    // A browser that met the fleet's own authority once would refuse its name for a year.
    ...(plan.certificate.kind === "fleet"
      ? {}
      : { "Strict-Transport-Security": "max-age=31536000" }),
  };
}

/**
 * A turn runs or a webhook counts by a mere GET on these paths: never sent a second time once it may
 * have arrived. Regular expression of a whole path's beginning.
 */
export const SENT_ONCE = "^(/agents/[^/]+)?/(api/v1/chat/stream$|hooks/|channels/)";

/** The one path below {@link CLOSED_BELOW} that leads to routers. */
export const DRAIN_HOOK = "/internal/agent/drain";

/** Paths of the fleet's own API. Whoever comes through a front needs the admin token on each of them. */
export const ADMIN_PATHS = [
  "/api/v1/fleet",
  "/api/v1/fleet/*",
  "/api/v1/history",
  "/api/v1/metrics",
  "/metrics",
  DRAIN_HOOK,
] as const;

/** Nothing below it leads to routers, but {@link DRAIN_HOOK}. */
export const CLOSED_BELOW = "/internal/";

/** Where a front keeps what is not planned: certificates by ACME. */
export const frontState = (paths: HostPaths): string => `${paths.data}-front`;
export const frontEtc = (paths: HostPaths): string => `${paths.etc}/front`;

/** Throws ConfigError with every fault. */
export function planFront(hosts: readonly HostFacts[], settings: FrontSettings): FrontPlan {
  const faults: Fault[] = [];
  const fault = (setting: string, problem: string, remedy: string) =>
    faults.push({ setting, problem, remedy });
  const routers = hosts.filter(({ witness }) => !witness);
  const fronts = settings.hosts
    ? hosts.filter(({ name }) => settings.hosts?.includes(name))
    : routers;
  for (const name of settings.hosts ?? []) {
    if (!hosts.some((host) => host.name === name)) {
      const known = hosts.map((host) => host.name).join(", ");
      fault("front.hosts", `names "${name}", which is no host`, `The hosts are ${known}`);
    }
  }
  if (fronts.length === 0 && faults.length === 0) {
    fault("front.hosts", "leaves no host with a front", "Name one, or set front.kind to none");
  }
  // Who calls an address says no name in its handshake: any name is then served.
  const acme = settings.certificate.kind === "acme";
  const addresses = acme ? [] : settings.names.filter((name) => isIP(name) !== 0);
  const names = settings.names.filter((name) => !addresses.includes(name));
  for (const name of names) {
    if (!/^(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]([a-z0-9-]*[a-z0-9])?$/.test(name)) {
      fault("domain", `is "${name}", which is no DNS name`, "Write it like fleet.example.com");
    } else if (name.startsWith("*.") && settings.certificate.kind === "acme") {
      fault(
        "domain",
        `is "${name}", and Let's Encrypt gives wildcards only by DNS, which fronts do not do`,
        "Write the whole name, or set front.certificate to own",
      );
    }
  }
  if (settings.certificate.kind === "acme" && settings.names.length === 0) {
    fault(
      "front.certificate",
      "is acme, and Let's Encrypt signs names, not addresses",
      "Set domain, or front.certificate to fleet",
    );
  }
  if (acme && fronts.length > 1 && (settings.proxyProtocolFrom ?? []).length > 0) {
    // One front asks the others for the answer, and they listen to balancers alone.
    fault(
      "front.certificate",
      `is acme, and behind balancers with the PROXY protocol an answer to Let's Encrypt is found by one front alone, not by ${fronts.length}`,
      "Name one host in front.hosts, or set front.certificate to own",
    );
  }
  const httpPort = settings.httpPort ?? 80;
  const httpsPort = settings.httpsPort ?? 443;
  if (httpPort === httpsPort) {
    fault(
      "front.httpPort",
      `is ${httpPort}, as front.httpsPort is`,
      "Each needs a port of its own",
    );
  }
  const taken = new Map<number, string>(
    Object.entries({ ...HOST_PORTS, ...WATCH_PORTS }).map(([what, port]) => [port, what]),
  );
  for (const [setting, port] of Object.entries({ httpPort, httpsPort })) {
    if (!taken.has(port)) continue;
    fault(
      `front.${setting}`,
      `is ${port}, and the fleet's own ${taken.get(port)} listens there on each host`,
      "Take another one; 443 and 80 when it is left out",
    );
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return {
    names,
    addresses,
    certificate: settings.certificate,
    balancing: settings.balancing ?? "least_conn",
    httpPort,
    httpsPort,
    proxyProtocolFrom: settings.proxyProtocolFrom ?? [],
    adminFrom: settings.adminFrom ?? null,
    ipv6: settings.ipv6 ?? true,
    limits: { ...LIMITS, ...settings.limits },
    fronts,
    routers,
  };
}

/** Where the certificate for people lies on the host. */
export function certificateFiles(plan: FrontPlan, paths: HostPaths): { cert: string; key: string } {
  switch (plan.certificate.kind) {
    case "fleet":
      return { cert: `${paths.tls}/node.pem`, key: `${paths.tls}/node.key` };
    case "own":
      return { cert: `${frontEtc(paths)}/cert.pem`, key: `${frontEtc(paths)}/key.pem` };
    case "acme":
      return { cert: `${frontState(paths)}/tls/cert.pem`, key: `${frontState(paths)}/tls/key.pem` };
  }
}

/** Files with somebody's own certificate, for the user who reads them. */
export function ownCertificate(
  plan: FrontPlan,
  paths: HostPaths,
  group: string,
): Readonly<Record<string, HostFile>> {
  if (plan.certificate.kind !== "own") return {};
  const { cert, key } = certificateFiles(plan, paths);
  return {
    [cert]: { content: "{{secret front.cert}}", owner: "root", group, mode: "0640" },
    [key]: { content: "{{secret front.key}}", owner: "root", group, mode: "0640" },
  };
}

/** True when this host carries a front. */
export const carriesFront = (plan: FrontPlan, { self }: HostContext): boolean =>
  plan.fronts.some(({ name }) => name === self.name);

/** Asks the front on its own host, as the first of its names. */
export function frontCheck(plan: FrontPlan): string[] {
  const name = plan.names.find((each) => !each.startsWith("*.")) ?? "localhost";
  const at = `${name}:${plan.httpsPort}`;
  return [
    ...["/usr/bin/curl", "--silent", "--show-error", "--fail", "--insecure", "--max-time", "5"],
    ...(plan.proxyProtocolFrom.length > 0 ? ["--haproxy-protocol"] : []),
    ...["--resolve", `${at}:127.0.0.1`, `https://${at}/healthz`],
  ];
}
