import { FRONT } from "../../gateway/contract.ts";
import { ConfigError, type Fault } from "../errors.ts";
import { DNS_CHECK, LIMITS, QUOTAS } from "./catalog.ts";
import { rangeFaults } from "./ranges.ts";
import type { EdgeSettings } from "./settings.ts";
import { planWaf, type WafPlan } from "./waf.ts";

/** How clients reach a fleet: a balancer, DNS records of all hosts, or one address. */
export type EdgeFront = EdgeSettings["front"] & string;

export interface EdgeNeed {
  readonly target: "ec2" | "eks";
  /** What the preset takes when the settings say nothing. */
  readonly front: EdgeFront;
  readonly waf: boolean;
  /** Ids of the nodes, in order. */
  readonly nodes: readonly string[];
  /** Zones of the public subnets. */
  readonly zones: number;
  /** Concurrent users, and all their turns of a month, for costs. */
  readonly users: number;
  readonly turnsPerMonth: number;
  readonly turnsPerSecond: number;
  /** Name of the stack's setting `domain`. */
  readonly domain?: string | undefined;
  /** A stack that makes a way in, and must not be reached without TLS. */
  readonly tlsRequired: boolean;
  /** Whose certificate hosts show was said (`front.certificate`). */
  readonly certificateChosen: boolean;
  /** Port of the routers. */
  readonly port: number;
  readonly settings: EdgeSettings;
}

/** What the account must allow. */
export interface QuotaNeed {
  readonly service: string;
  readonly code: string;
  readonly name: string;
  /** What this edge adds. */
  readonly need: number;
}

export interface EdgePlan {
  readonly front: EdgeFront;
  /** Null: there is no name, and so no certificate that browsers know. */
  readonly domain: string | null;
  /** The domain first, then further names of the certificate. */
  readonly names: readonly string[];
  /** Names that a certificate is validated by: a wildcard shares its record with its parent. */
  readonly validationNames: readonly string[];
  readonly targetType: "ip" | "instance";
  readonly port: number;
  /** Nodes that have a fixed address of their own. */
  readonly addressOf: readonly string[];
  readonly publicTo: readonly string[];
  readonly idleSeconds: number;
  readonly drainSeconds: number;
  readonly probe: {
    readonly path: string;
    readonly matcher: string;
    readonly intervalSeconds: number;
    readonly timeoutSeconds: number;
    readonly healthyAfter: number;
    readonly unhealthyAfter: number;
  };
  /** Paths that get a fixed 404. */
  readonly closedPaths: readonly string[];
  readonly waf: WafPlan | null;
  /** Longest time until a lost router gets no more requests, seconds; null when nothing notices. */
  readonly detectionSeconds: number | null;
  readonly zones: number;
  readonly users: number;
  readonly turnsPerMonth: number;
  readonly quotas: readonly QuotaNeed[];
  readonly notes: readonly string[];
}

const NAME = /^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** The way in. Throws ConfigError with every fault. */
export function planEdge(need: EdgeNeed): EdgePlan {
  const { settings, target } = need;
  const front = settings.front ?? need.front;
  const waf = settings.waf ?? need.waf;
  const faults = [
    ...nameFaults(need, front),
    ...frontFaults(need, front),
    ...rangeFaults(settings.publicTo),
    ...wafFaults(need, front),
  ];
  if (faults.length > 0) throw new ConfigError(faults);
  const domain = need.domain ?? null;
  const names = domain === null ? [] : [...new Set([domain, ...settings.alternativeNames])];
  const { probe } = FRONT;
  const addressOf = front === "alb" ? [] : front === "dns" ? need.nodes : need.nodes.slice(0, 1);
  return {
    front,
    domain,
    names,
    validationNames: [...new Set(names.map((name) => name.replace(/^\*\./, "")))],
    targetType: target === "eks" ? "ip" : "instance",
    port: need.port,
    addressOf,
    publicTo: [...new Set(settings.publicTo)],
    idleSeconds: FRONT.idleMs / 1_000,
    drainSeconds: FRONT.drainMs / 1_000,
    probe: {
      path: probe.path,
      matcher: String(probe.status),
      intervalSeconds: probe.intervalMs / 1_000,
      timeoutSeconds: probe.timeoutMs / 1_000,
      healthyAfter: probe.healthyAfter,
      unhealthyAfter: probe.unhealthyAfter,
    },
    closedPaths: FRONT.closedPaths,
    waf:
      front === "alb" && waf ? planWaf({ ...settings, turnsPerSecond: need.turnsPerSecond }) : null,
    detectionSeconds: detectionSeconds(front),
    zones: need.zones,
    users: need.users,
    turnsPerMonth: need.turnsPerMonth,
    quotas:
      front === "alb"
        ? [{ ...QUOTAS.balancers, need: 1 }]
        : [{ ...QUOTAS.addresses, need: addressOf.length }],
    notes: notesOf(need, front, waf),
  };
}

/**
 * Worst case from the loss of a router to the last request sent to it, seconds. A probe that was good
 * just before costs a whole interval; each further one another; the last waits for its timeout. DNS
 * adds what resolvers keep. Null: nothing takes over.
 */
export function detectionSeconds(front: EdgeFront): number | null {
  if (front === "address") return null;
  if (front === "dns") {
    const { intervalSeconds, failures, answerSeconds, ttlSeconds } = DNS_CHECK;
    return intervalSeconds * failures + answerSeconds + ttlSeconds;
  }
  const { intervalMs, timeoutMs, unhealthyAfter } = FRONT.probe;
  return (intervalMs * unhealthyAfter + timeoutMs) / 1_000;
}

function nameFaults(need: EdgeNeed, front: EdgeFront): Fault[] {
  const { domain, settings, tlsRequired } = need;
  const faults: Fault[] = [];
  if (domain === undefined) {
    const remedy = "Set domain to a name in a zone of yours on Route 53, e.g. chat.example.com";
    if (tlsRequired && front === "alb") {
      faults.push({
        setting: "domain",
        problem:
          "is missing, and without a name the load balancer has no certificate: tokens would travel in the open, which environment prod refuses",
        remedy,
      });
    }
    // Hosts show one of the fleet's own authority, as on target hosts.
    if (tlsRequired && front === "address" && !need.certificateChosen) {
      faults.push({
        setting: "domain",
        problem: "is missing, and people would be asked to trust a certificate they never saw",
        remedy: `${remedy}, or front.certificate to fleet if that is meant`,
      });
    }
    if (front === "dns") {
      faults.push({
        setting: "edge.front",
        problem: "is dns, which finds the hosts by a name, and domain is missing",
        remedy: `${remedy}, or edge.front to alb`,
      });
    }
    if (settings.alternativeNames.length > 0) {
      faults.push({
        setting: "edge.alternativeNames",
        problem: "stand beside domain, which is missing",
        remedy,
      });
    }
    return faults;
  }
  if (
    !NAME.test(domain) ||
    domain.startsWith("*") ||
    domain.length > LIMITS.certificateNameLength
  ) {
    faults.push({
      setting: "domain",
      problem: `is ${JSON.stringify(domain)}; a name has lower-case labels with dots between them, no wildcard, and at most ${LIMITS.certificateNameLength} characters`,
      remedy: "Write it like chat.example.com",
    });
  }
  settings.alternativeNames.forEach((name, i) => {
    if (NAME.test(name) && name.endsWith(`.${domain}`)) return;
    faults.push({
      setting: `edge.alternativeNames[${i}]`,
      problem: `is ${JSON.stringify(name)}, which is no name below ${domain}`,
      remedy: `Write it like www.${domain} or *.${domain}`,
    });
  });
  const count = new Set([domain, ...settings.alternativeNames]).size;
  if (count > LIMITS.certificateNames) {
    faults.push({
      setting: "edge.alternativeNames",
      problem: `make ${count} names with domain, and a certificate holds ${LIMITS.certificateNames}`,
      remedy: `Name fewer, or one *.${domain} for all`,
    });
  }
  return faults;
}

function frontFaults({ target, zones, nodes, settings }: EdgeNeed, front: EdgeFront): Fault[] {
  const faults: Fault[] = [];
  if (target === "eks" && front !== "alb") {
    faults.push({
      setting: "edge.front",
      problem: `is ${front}, and pods have no address of their own on the internet`,
      remedy: "Set it to alb, or target to ec2",
    });
  }
  if (front === "alb" && zones < LIMITS.zones) {
    faults.push({
      setting: "aws.zones",
      problem: `are ${zones}, and a load balancer stands in at least ${LIMITS.zones}`,
      remedy: `Name ${LIMITS.zones} or more`,
    });
  }
  if (front === "address" && nodes.length > 1 && settings.front === "address") {
    faults.push({
      setting: "edge.front",
      problem: `is address, which belongs to one host, and the fleet has ${nodes.length} nodes`,
      remedy: "Set it to dns or alb",
    });
  }
  if (front === "dns" && !settings.publicTo.includes("0.0.0.0/0")) {
    faults.push({
      setting: "edge.publicTo",
      problem: `is ${settings.publicTo.join(", ")}, and with edge.front dns Route 53's own checks come from the internet`,
      remedy: "Set edge.front to alb, or leave edge.publicTo out",
    });
  }
  return faults;
}

function wafFaults({ settings }: EdgeNeed, front: EdgeFront): Fault[] {
  if (front === "alb" || settings.waf !== true) return [];
  return [
    {
      setting: "edge.waf",
      problem: `is true, and a firewall stands only before a load balancer; edge.front is ${front}`,
      remedy: "Set edge.front to alb, or leave edge.waf out",
    },
  ];
}

function notesOf(need: EdgeNeed, front: EdgeFront, waf: boolean): string[] {
  const notes: string[] = [];
  if (front === "address") {
    notes.push(
      "edge: one address at the only host; it survives no loss of that host, and nothing answers until the host is back",
    );
  }
  if (need.domain === undefined) {
    notes.push(
      front === "alb"
        ? "edge: no domain, so no TLS: tokens and conversations travel in the open"
        : "edge: no domain, so the fleet's own authority signs for the address: clients must be given its certificate",
    );
  }
  if (front === "alb" && waf) {
    notes.push(
      "edge: the firewall judges addresses, paths and headers, and never the words of a conversation",
    );
  }
  return notes;
}
