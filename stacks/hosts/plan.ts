import {
  type FrontCertificate,
  type FrontPlan,
  planFront,
  ROUTER_NAME,
} from "../../components/front/plan.ts";
import type { HostFacts } from "../../components/host/types.ts";
import { watchingHost } from "../../components/prometheus/plan.ts";
import type { RedisMode } from "../../components/redis/layout.ts";
import { httpsOrigin } from "../../gateway/address.ts";
import type { FleetPlan } from "../presets.ts";
import type { Settings } from "../settings.ts";
import { checkHosts } from "./checks.ts";

/** Who carries what in a fleet on hosts, and under which names everything is called. Plain data. */
export interface HostsPlan {
  readonly hosts: readonly HostFacts[];
  /** Redis on the hosts; null: one of the person's own, or none is needed. */
  readonly redis: RedisMode | null;
  /** Null: something of the person's own stands before the routers. */
  readonly front: FrontPlan | null;
  /** Which program the front is. */
  readonly frontKind: "nginx" | "caddy";
  /** Whether anything is asked of several machines: then etcd decides, and shards have replicas. */
  readonly several: boolean;
  /** The host that watches; null when nothing does. */
  readonly watching: string | null;
  /** What people open. */
  readonly endpoint: string;
  /** Where else the same is reached, should the host in `endpoint` be lost; none with a domain. */
  readonly otherFronts: readonly string[];
  /** Domain in which nodes find each other; null: by their addresses. */
  readonly discovery: string | null;
  /** DNS names and addresses in each host's certificate. */
  readonly certificates: Readonly<Record<string, readonly string[]>>;
}

/**
 * Pure. Throws ConfigError with what cannot be.
 * @param watchedBefore the host that watched after the last `up`; undefined before the first
 */
export function planHosts(settings: Settings, fleet: FleetPlan, watchedBefore?: string): HostsPlan {
  checkHosts(settings);
  const hosts: HostFacts[] = settings.hosts.map(({ name, address, witness }) => ({
    name,
    address,
    ...(witness ? { witness } : {}),
  }));
  const several = hosts.length > 1;
  const front = settings.front.kind === "none" ? null : planFront(hosts, frontOf(settings));
  const ownRedis = settings.redis.url !== undefined;
  return {
    hosts,
    redis: ownRedis || !several || fleet.redis === "none" ? null : fleet.redis,
    front,
    frontKind: settings.front.kind === "caddy" ? "caddy" : "nginx",
    several,
    watching:
      (settings.monitoring.enabled ?? several)
        ? watchingHost(hosts, settings.monitoring, watchedBefore)
        : null,
    endpoint: endpointOf(hosts, front, settings),
    otherFronts: otherFronts(front, settings),
    discovery: settings.discovery.dns ?? null,
    certificates: Object.fromEntries(
      hosts.map(({ name, address }) => {
        // Without a certificate of a public authority, people meet this one.
        const shown = front?.fronts.some((host) => host.name === name) ? front : null;
        const names = [...(shown?.names ?? []), ...(shown?.addresses ?? [])];
        const own = [address, name, ROUTER_NAME, "localhost", "127.0.0.1", "::1"];
        if (settings.discovery.dns !== undefined) own.push(`${name}.${settings.discovery.dns}`);
        return [name, [...own, ...names]];
      }),
    ),
  };
}

function frontOf(settings: Settings): Parameters<typeof planFront>[1] {
  const { front, domain } = settings;
  return {
    hosts: front.hosts,
    names: domain === undefined ? [] : [domain],
    certificate: certificateOf(settings),
    balancing: front.balancing,
    httpPort: front.httpPort,
    httpsPort: front.httpsPort,
    proxyProtocolFrom: front.proxyProtocolFrom,
    adminFrom: front.adminFrom,
    ipv6: front.ipv6,
    limits: given(front.limits),
  };
}

/** Without what was left out, which would hide the planned numbers. */
function given<T extends object>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined),
  ) as never;
}

/** Whose certificate people meet at the front: as it is set, else a public authority's where there is a name for it. */
export const certificateKind = ({ front, domain }: Pick<Settings, "front" | "domain">) =>
  front.certificate ?? (domain === undefined ? "fleet" : "acme");

function certificateOf(settings: Settings): FrontCertificate {
  const { front } = settings;
  const kind = certificateKind(settings);
  return kind === "acme" ? { kind, email: front.email } : { kind };
}

function endpointOf(
  hosts: readonly HostFacts[],
  front: FrontPlan | null,
  { domain }: Settings,
): string {
  const first = front?.fronts[0] ?? hosts.find(({ witness }) => !witness);
  const address = domain ?? first?.address ?? "localhost";
  const port = front?.httpsPort ?? 443;
  return httpsOrigin(address, port);
}

/** A domain is led to other hosts by whoever keeps it, and the certificate may be good for it alone. */
const otherFronts = (front: FrontPlan | null, { domain }: Settings): string[] =>
  front === null || domain !== undefined
    ? []
    : front.fronts.slice(1).map(({ address }) => httpsOrigin(address, front.httpsPort));
