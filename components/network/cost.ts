import { type CostLine, HOURS_A_MONTH, pricesOf, type Tier } from "../cost.ts";
import { PRICES, TRAFFIC } from "./catalog.ts";
import type { NetworkPlan } from "./plan.ts";
import type { NatMode } from "./settings.ts";

/** What the month's traffic is reckoned from. */
export interface NetworkUsage {
  /** Turns a month. */
  readonly turns: number;
  /** Machines, hosts or nodes. */
  readonly nodes: number;
  /** Days that flow logs are kept. */
  readonly logDays: number;
}

const SIZE: Readonly<Record<NatMode, string>> = {
  none: "no NAT gateway",
  one: "one NAT gateway",
  per_zone: "a NAT gateway a zone",
  regional: "a regional NAT gateway",
};

const SURVIVES: Readonly<Record<NatMode, string>> = {
  none: "nothing private leaves through it; what needs the internet has an address of its own",
  one: "not the loss of its zone: every private machine is then cut off from model providers",
  per_zone: "the loss of a zone, which cuts off that zone's machines alone",
  regional: "the loss of a zone, which cuts off that zone's machines alone",
};

/** The network's rows of `fleet plan`: the way out, the endpoints, the flow logs. */
export function tierNetwork(plan: NetworkPlan, usage: NetworkUsage, region: string): Tier[] {
  const price = pricesOf(PRICES, region);
  const perMonth = (perTurn: number, perNode: number) =>
    perTurn * usage.turns + perNode * usage.nodes;
  const endpoints = plan.interfaceEndpoints.length * plan.zones;
  const endpointGb = endpoints > 0 ? perMonth(0, TRAFFIC.endpointGbPerNode) : 0;
  const natGb =
    plan.nat === "none"
      ? 0
      : Math.max(0, perMonth(TRAFFIC.natGbPerTurn, TRAFFIC.natGbPerNode) - endpointGb);
  // With one gateway, what comes from the other zones crosses a border on its way out.
  const toOtherZone = plan.nat === "one" ? (natGb * (plan.zones - 1)) / plan.zones : 0;
  const crossZoneGb =
    perMonth(TRAFFIC.crossZoneGbPerTurn, TRAFFIC.crossZoneGbPerNode) + toOtherZone;
  const gateways = plan.natZones.length;
  const flowGb = perMonth(TRAFFIC.flowLogGbPerTurn, TRAFFIC.flowLogGbPerNode);
  const line = (what: string, quantity: number, unit: string, priceUsd: number): CostLine => ({
    what,
    quantity,
    unit,
    priceUsd,
  });
  const tiers: Tier[] = [
    {
      tier: "network",
      size: plan.adoptedVpcId ? `adopted ${plan.adoptedVpcId}` : `${plan.cidr}, ${SIZE[plan.nat]}`,
      // A regional gateway is one that is paid for in each zone.
      count: plan.adoptedVpcId ? plan.zones : Math.max(1, plan.nat === "regional" ? 1 : gateways),
      why: `${plan.zones} zones; ${plan.room.map((r) => `${r.kind} ${r.needed} of ${r.addresses} addresses`).join(", ")} a zone`,
      survives: plan.adoptedVpcId ? "what its owner built it for" : SURVIVES[plan.nat],
      costs: price
        ? [
            line("NAT gateway hours", gateways * HOURS_A_MONTH, "h", price.natHour),
            line("NAT gateway GB", natGb, "GB", price.natGb),
            line("Public IPv4 of NAT", gateways * HOURS_A_MONTH, "h", price.publicIpv4Hour),
            line("Cross-zone GB", crossZoneGb, "GB", price.crossZoneGb),
            line("GB out to model providers", perMonth(TRAFFIC.outGbPerTurn, 0), "GB", price.outGb),
          ].filter(({ quantity }) => quantity > 0)
        : [],
    },
  ];
  if (endpoints > 0) {
    tiers.push({
      tier: "endpoints",
      size: plan.interfaceEndpoints.join(", "),
      count: endpoints,
      why: `${plan.interfaceEndpoints.length} services in ${plan.zones} zones, network.interfaceEndpoints`,
      survives: "the loss of a zone",
      costs: price
        ? [
            line("Endpoint hours", endpoints * HOURS_A_MONTH, "h", price.endpointHour),
            line("Endpoint GB", endpointGb, "GB", price.endpointGb),
          ]
        : [],
    });
  }
  if (plan.flowLogs) {
    tiers.push({
      tier: "flow logs",
      size: "all connections, records of 10 minutes",
      count: 1,
      why: `kept ${usage.logDays} days, network.flowLogs`,
      survives: "nothing depends on it",
      costs: price
        ? [
            line("Flow log GB", flowGb, "GB", price.flowLogGb),
            line(
              "Flow log storage",
              (flowGb * usage.logDays * 24) / HOURS_A_MONTH,
              "GB-month",
              price.logStorageGbMonth,
            ),
          ]
        : [],
    });
  }
  return tiers;
}
