import { type CostLine, HOURS_A_MONTH, type Prices, pricesOf, type Tier } from "../cost.ts";
import { CAPACITY_UNIT, EDGE_PRICES, type EdgePrice, USE } from "./catalog.ts";
import type { EdgePlan } from "./plan.ts";

/** The way in as a row of `fleet plan`. */
export function tierEdge(plan: EdgePlan, region: string): Tier {
  const prices = pricesOf(EDGE_PRICES, region);
  return {
    tier: "edge",
    size: SIZES[plan.front],
    count: plan.front === "alb" ? 1 : plan.addressOf.length,
    why: whyOf(plan),
    survives: SURVIVES[plan.front],
    costs: prices ? costs(plan, prices) : [],
  };
}

const SIZES = {
  alb: "application load balancer",
  dns: "fixed addresses behind health-checked DNS",
  address: "one fixed address",
} as const;

const SURVIVES = {
  alb: "the loss of any zone but one",
  dns: "the loss of hosts, as long as one is left",
  address: "no loss of its host",
} as const;

function whyOf({ front, zones, detectionSeconds, addressOf }: EdgePlan): string {
  if (front === "alb") {
    return `${zones} zones; a lost router gets no requests after ${detectionSeconds} s at most`;
  }
  if (front === "dns") {
    return `${addressOf.length} nodes; a lost one leaves DNS after ${detectionSeconds} s at most`;
  }
  return "1 node";
}

function costs(plan: EdgePlan, prices: Prices<EdgePrice>): CostLine[] {
  const line = (what: string, quantity: number, unit: string, price: EdgePrice): CostLine => ({
    what,
    quantity,
    unit,
    priceUsd: prices[price],
  });
  const answers = line("answers to the internet", gbPerMonth(plan), "GB", "dataOutGb");
  if (plan.front !== "alb") {
    const count = plan.addressOf.length;
    const addresses = line(
      "fixed public IPv4 addresses",
      count * HOURS_A_MONTH,
      "h",
      "publicIpv4Hour",
    );
    return plan.front === "dns"
      ? [addresses, line("DNS health checks", count, "check-month", "healthCheck"), answers]
      : [addresses, answers];
  }
  const lines = [
    line("balancer hours", HOURS_A_MONTH, "h", "balancerHour"),
    line("balancer capacity units", capacityUnitHours(plan), "LCU-h", "capacityUnitHour"),
    line("balancer's public IPv4 addresses", plan.zones * HOURS_A_MONTH, "h", "publicIpv4Hour"),
    answers,
  ];
  if (plan.waf) {
    lines.push(
      line("web firewall", 1, "month", "firewall"),
      line("web firewall rules", plan.waf.rules.length, "rule-month", "firewallRule"),
      line("web firewall requests", requests(plan) / 1e6, "million", "firewallMillionRequests"),
    );
  }
  return lines;
}

/** What the costs by use follow. */
type Use = Pick<EdgePlan, "users" | "turnsPerMonth">;

function requests({ turnsPerMonth }: Use): number {
  return turnsPerMonth * USE.requestsPerTurn;
}

function gbPerMonth({ turnsPerMonth }: Use): number {
  return (turnsPerMonth * USE.kbPerTurn) / 1e6;
}

/** The dearest of the dimensions that AWS counts, over a month. */
export function capacityUnitHours(use: Use): number {
  const seconds = HOURS_A_MONTH * 3_600;
  const units = Math.max(
    requests(use) / seconds / CAPACITY_UNIT.newConnectionsPerSecond,
    (use.users * USE.connectionsPerUser) / CAPACITY_UNIT.activeConnectionsPerMinute,
    gbPerMonth(use) / HOURS_A_MONTH / CAPACITY_UNIT.gbPerHour,
  );
  return units * HOURS_A_MONTH;
}
