import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { monthlyUsd, PRICE_REGIONS } from "../../../components/cost.ts";
import { PRICED, PRICES } from "../../../components/network/catalog.ts";
import { type NetworkUsage, tierNetwork } from "../../../components/network/cost.ts";
import { type NetworkNeed, planNetwork } from "../../../components/network/plan.ts";
import { NAT_MODES } from "../../../components/network/settings.ts";

const need = (more: Partial<NetworkNeed> = {}) =>
  planNetwork({
    zones: 3,
    load: { balancers: 1, publicHosts: 3, privateHosts: 0, dataPerZone: 8 },
    ...more,
  });
const USAGE: NetworkUsage = { turns: 200_000, nodes: 3, logDays: 90 };
const usd = (more: Partial<NetworkNeed>, usage = USAGE, region = "us-east-1") =>
  tierNetwork(need(more), usage, region).reduce((sum, tier) => sum + monthlyUsd(tier.costs), 0);

describe("the network's rows of a plan", () => {
  test("three gateways in Virginia, worked by hand", () => {
    const [tier] = tierNetwork(need({ natGateways: "per_zone" }), USAGE, "us-east-1");
    // 2,190 h × 0.045; 48 GB × 0.045; 2,190 h × 0.005; 25 GB × 0.02; 16 GB × 0.09
    expect(tier?.costs.map((line) => [line.what, line.quantity])).toEqual([
      ["NAT gateway hours", 2190],
      ["NAT gateway GB", 48],
      ["Public IPv4 of NAT", 2190],
      ["Cross-zone GB", 25],
      ["GB out to model providers", 16],
    ]);
    expect(monthlyUsd(tier?.costs ?? [])).toBe(98.55 + 2.16 + 10.95 + 0.5 + 1.44);
    expect(tier?.count).toBe(3);
  });

  test("one gateway saves hours and pays for the way to its zone", () => {
    const [tier] = tierNetwork(need({ natGateways: "one" }), USAGE, "us-east-1");
    const crossZone = tier?.costs.find((line) => line.what === "Cross-zone GB");
    expect(crossZone?.quantity).toBeCloseTo(25 + (48 * 2) / 3);
    expect(tier?.survives).toContain("not the loss of its zone");
    expect(usd({ natGateways: "one" })).toBeLessThan(usd({ natGateways: "per_zone" }));
  });

  test("a regional gateway is paid for in every zone", () => {
    expect(usd({ natGateways: "regional" })).toBe(usd({ natGateways: "per_zone" }));
  });

  test("endpoints and flow logs are rows of their own, only when there are any", () => {
    const rows = (more: Partial<NetworkNeed>) =>
      tierNetwork(need(more), USAGE, "eu-west-1").map((tier) => `${tier.tier} ${tier.count}`);
    expect(rows({})).toEqual(["network 1"]);
    expect(rows({ interfaceEndpoints: ["sts", "logs"], flowLogs: true })).toEqual([
      "network 1",
      "endpoints 6",
      "flow logs 1",
    ]);
  });

  test("cost never falls as turns or nodes rise", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...NAT_MODES),
        fc.constantFrom(...PRICE_REGIONS),
        fc.nat(5_000_000),
        fc.nat(60),
        fc.nat(500_000),
        fc.nat(5),
        fc.boolean(),
        (natGateways, region, turns, nodes, moreTurns, moreNodes, endpoints) => {
          const parts = {
            natGateways,
            flowLogs: true,
            interfaceEndpoints: endpoints ? ["sts"] : [],
          };
          const before = usd(parts, { turns, nodes, logDays: 3 }, region);
          const after = usd(
            parts,
            { turns: turns + moreTurns, nodes: nodes + moreNodes, logDays: 3 },
            region,
          );
          // A cent: each line is rounded, as on a bill.
          expect(after).toBeGreaterThanOrEqual(before - 0.01);
        },
      ),
    );
  });

  test("a region without prices has rows without costs", () => {
    const tiers = tierNetwork(need({ flowLogs: true }), USAGE, "ap-south-1");
    expect(tiers.map((tier) => tier.costs)).toEqual([[], []]);
  });

  test("every line that a type is paid by is a line of some row", () => {
    const tiers = tierNetwork(
      need({ natGateways: "per_zone", interfaceEndpoints: ["sts"], flowLogs: true }),
      USAGE,
      PRICE_REGIONS[0],
    );
    const lines = tiers.flatMap((tier) => tier.costs.map(({ what }) => what));
    const named = Object.values(PRICED).flatMap((by) => ("lines" in by ? by.lines : []));
    expect([...new Set(named)].sort()).toEqual([...new Set(lines)].sort());
    expect(PRICES.date).toMatch(/^\d{4}-\d\d-\d\d$/);
  });
});
