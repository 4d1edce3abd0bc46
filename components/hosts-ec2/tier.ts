import { type CostLine, HOURS_A_MONTH, type Prices, pricesOf, type Tier } from "../cost.ts";
import { HOST_PRICES, type HostPrice, largeUnits } from "./catalog.ts";
import type { HostsPlan } from "./plan.ts";

/** The hosts as a row of `fleet plan`. */
export function tierHosts(plan: HostsPlan, region: string): Tier {
  const prices = pricesOf(HOST_PRICES, region);
  const { node, loss } = plan.need;
  return {
    tier: "hosts",
    size: plan.class.type,
    count: plan.hosts.length,
    why: `${node.memoryMiB} MiB and ${node.cores} cores a node`,
    survives: !loss.survives
      ? `${unsurvived(plan.hosts.length, loss.nodesLost)}; the state volume stays`
      : loss.nodesLost === 1
        ? "the loss of one host"
        : `the loss of a zone (${loss.nodesLost} hosts)`,
    costs: prices ? costs(plan, prices) : [],
  };
}

function unsurvived(hosts: number, lost: number): string {
  if (hosts === 1) return "no loss of its only host";
  return lost === 1 ? "no loss of the one host that votes" : `no loss of a zone (${lost} hosts)`;
}

function costs(plan: HostsPlan, prices: Prices<HostPrice>): CostLine[] {
  const { class: hostClass } = plan;
  const count = plan.hosts.length;
  const disk = (what: string, gib: number): CostLine => ({
    what,
    quantity: count * gib,
    unit: "GB-month",
    priceUsd: prices.gp3GbMonth,
  });
  const lines: CostLine[] = [
    {
      what: "hosts",
      quantity: count * HOURS_A_MONTH,
      unit: "h",
      priceUsd: largeUnits(hostClass) * prices[hostClass.family.name],
    },
    disk("system disks", plan.rootGiB),
    disk("state disks", plan.stateGiB),
  ];
  if (plan.ownAddresses > 0) {
    lines.push({
      what: "hosts' public IPv4 addresses",
      quantity: plan.ownAddresses * HOURS_A_MONTH,
      unit: "h",
      priceUsd: prices.publicIpv4Hour,
    });
  }
  return lines;
}
