import fc from "fast-check";
import { expect, test } from "vitest";
import { FLEET_NAME_MAX } from "../../../components/context.ts";
import { monthlyUsd, PRICE_REGIONS } from "../../../components/cost.ts";
import { AUTO_NAME_SUFFIX, LIMITS, PRICED } from "../../../components/edge/catalog.ts";
import { detectionSeconds, type EdgeNeed, planEdge } from "../../../components/edge/plan.ts";
import { capacityUnitHours, tierEdge } from "../../../components/edge/tier.ts";
import { ConfigError } from "../../../components/errors.ts";
import { DRAIN, FRONT } from "../../../gateway/contract.ts";
import { needOf } from "./needs.ts";

/** Seconds from docs/capacity.md: the next answer after a node was killed, and after a gateway hung. */
const NODE_KILLED = 25;

function faultsOf(need: EdgeNeed): string[] {
  try {
    planEdge(need);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map(({ setting }) => setting);
    throw error;
  }
  return [];
}

test("a balancer stops sending to a lost router well within what a lost node may cost", () => {
  expect(detectionSeconds("alb")).toBe(12);
  expect(detectionSeconds("alb")).toBeLessThanOrEqual(NODE_KILLED);
});

test("DNS leaves a lost host within what a lost node may cost", () => {
  expect(detectionSeconds("dns")).toBe(21);
  expect(detectionSeconds("dns")).toBeLessThanOrEqual(NODE_KILLED);
});

test("one address has nothing that takes over, and its plan says so", () => {
  const plan = planEdge(needOf({ target: "ec2", front: "address", waf: false, nodes: ["a"] }));
  expect(plan.detectionSeconds).toBeNull();
  expect(plan.notes.join()).toContain("survives no loss of that host");
  expect(tierEdge(plan, "eu-central-1").survives).toBe("no loss of its host");
});

test("a router that stops turns unready before it closes: two probes fit into its wait", () => {
  const { intervalMs, unhealthyAfter } = FRONT.probe;
  expect(unhealthyAfter * intervalMs).toBeLessThanOrEqual(2 * intervalMs);
});

test("requests on a leaving router have all the time of a drain, and fronts wait at least 400 s", () => {
  const plan = planEdge(needOf());
  expect(plan.drainSeconds * 1_000).toBeGreaterThanOrEqual(DRAIN.termTurnsMs + DRAIN.termReleaseMs);
  expect(plan.idleSeconds).toBeGreaterThanOrEqual(400);
});

test("no number exceeds what AWS accepts", () => {
  const plan = planEdge(needOf());
  const inside = (value: number, { min, max }: { min: number; max: number }) =>
    value >= min && value <= max;
  expect(inside(plan.idleSeconds, LIMITS.idleSeconds)).toBe(true);
  expect(inside(plan.drainSeconds, LIMITS.drainSeconds)).toBe(true);
  expect(inside(plan.probe.intervalSeconds, LIMITS.probeIntervalSeconds)).toBe(true);
  expect(inside(plan.probe.timeoutSeconds, LIMITS.probeTimeoutSeconds)).toBe(true);
  expect(inside(plan.probe.healthyAfter, LIMITS.probeThreshold)).toBe(true);
  expect(inside(plan.probe.unhealthyAfter, LIMITS.probeThreshold)).toBe(true);
  expect(plan.probe.timeoutSeconds).toBeLessThan(plan.probe.intervalSeconds);
  expect(plan.closedPaths.length).toBeLessThanOrEqual(LIMITS.ruleValues);
});

test("the longest name of a fleet leaves room for a balancer's name", () => {
  const name = `${"f".repeat(FLEET_NAME_MAX)}-edge`;
  for (const role of ["lb", "tg"]) {
    expect(`${name}-${role}`.length + AUTO_NAME_SUFFIX).toBeLessThanOrEqual(LIMITS.nameLength);
  }
});

test("without a domain a balancer of prod is refused, and elsewhere the plan says that nothing is encrypted", () => {
  expect(faultsOf(needOf({ domain: undefined }))).toEqual(["domain"]);
  expect(() => planEdge(needOf({ domain: undefined }))).toThrow(/load balancer has no certificate/);
  const plan = planEdge(needOf({ domain: undefined, tlsRequired: false }));
  expect(plan.domain).toBeNull();
  expect(plan.notes.join()).toContain("no TLS");
});

test("without a domain hosts have certificates that clients must be told of: prod wants that said, and the plan says so", () => {
  const host: Partial<EdgeNeed> = { target: "ec2", front: "address", waf: false, nodes: ["a"] };
  const bare = needOf({ ...host, domain: undefined });
  expect(() => planEdge(bare)).toThrow(
    /certificate they never saw[\s\S]*front.certificate to fleet/,
  );
  expect(() => planEdge(bare)).not.toThrow(/in the open/);
  for (const meant of [{ certificateChosen: true }, { tlsRequired: false }]) {
    const plan = planEdge({ ...bare, ...meant });
    expect(plan.notes.join()).toContain("own authority");
    expect(plan.notes.join()).not.toContain("no TLS");
  }
});

test.each([
  ["Chat.example.com"],
  ["chat"],
  ["*.example.com"],
  ["chat.example.com."],
  ["chat..example.com"],
  ["-chat.example.com"],
  [`${"a".repeat(60)}.example.com`],
])("%s is no domain", (domain) => {
  expect(faultsOf(needOf({ domain }))).toEqual(["domain"]);
});

test("a wildcard shares the record of its parent: one record a distinct name", () => {
  const names = ["*.chat.example.com", "www.chat.example.com", "www.chat.example.com"];
  const plan = planEdge(needOf({}, { alternativeNames: names }));
  expect(plan.names).toEqual(["chat.example.com", "*.chat.example.com", "www.chat.example.com"]);
  expect(plan.validationNames).toEqual(["chat.example.com", "www.chat.example.com"]);
});

test("every fault is told at once, as it is written", () => {
  const need = needOf(
    { front: "dns", domain: undefined, zones: 1 },
    { alternativeNames: ["www.example.com"], publicTo: ["10.0.0.0/8"], waf: true },
  );
  expect(faultsOf(need)).toEqual([
    "edge.front",
    "edge.alternativeNames",
    "edge.front",
    "edge.publicTo",
    "edge.waf",
  ]);
});

test.each([
  ["203.0.113.7/24", /\/32 for this one alone/],
  ["203.0.113.300/24", /no range/],
  ["203.0.113.0/33", /no range/],
  ["2001:db8::/32", /IPv4 addresses only/],
])("%s may not be in edge.publicTo", (range, why) => {
  const need = needOf({}, { publicTo: ["203.0.113.0/24", range] });
  expect(faultsOf(need)).toEqual(["edge.publicTo[1]"]);
  expect(() => planEdge(need)).toThrow(why);
});

test("a security group has rules for thirty ranges on two ports", () => {
  const ranges = (count: number) => Array.from({ length: count }, (_, i) => `10.0.${i}.0/24`);
  expect(faultsOf(needOf({}, { publicTo: [...ranges(30), "10.0.0.0/24"] }))).toEqual([]);
  expect(faultsOf(needOf({}, { publicTo: ranges(31) }))).toEqual(["edge.publicTo"]);
});

test("names of other domains are refused", () => {
  const settings = { alternativeNames: ["www.chat.example.com", "chat.example.org"] };
  expect(faultsOf(needOf({}, settings))).toEqual(["edge.alternativeNames[1]"]);
});

test("a certificate holds ten names", () => {
  const names = (count: number) =>
    Array.from({ length: count }, (_, i) => `n${i}.chat.example.com`);
  expect(faultsOf(needOf({}, { alternativeNames: names(9) }))).toEqual([]);
  expect(faultsOf(needOf({}, { alternativeNames: names(10) }))).toEqual(["edge.alternativeNames"]);
});

test("one address for several nodes is refused when somebody asks for it", () => {
  const need = needOf({ target: "ec2", waf: false }, { front: "address" });
  expect(faultsOf(need)).toEqual(["edge.front"]);
});

test("a balancer needs two zones", () => {
  expect(faultsOf(needOf({ zones: 1 }))).toEqual(["aws.zones"]);
  expect(faultsOf(needOf({ zones: 2 }))).toEqual([]);
});

test("pods are reached by address, hosts by instance", () => {
  expect(planEdge(needOf()).targetType).toBe("ip");
  expect(planEdge(needOf({ target: "ec2" })).targetType).toBe("instance");
});

test("cost never falls as users or zones rise, in every region", () => {
  const need = fc.record({
    users: fc.integer({ min: 1, max: 100_000 }),
    more: fc.nat({ max: 100_000 }),
    zones: fc.constantFrom(2, 3),
    waf: fc.boolean(),
    region: fc.constantFrom(...PRICE_REGIONS),
  });
  fc.assert(
    fc.property(need, ({ users, more, zones, waf, region }) => {
      const cost = (users: number, zones: number) => {
        const need = needOf({ users, turnsPerMonth: users * 1_500, zones, waf });
        return monthlyUsd(tierEdge(planEdge(need), region).costs);
      };
      expect(cost(users + more, zones)).toBeGreaterThanOrEqual(cost(users, zones));
      expect(cost(users, 3)).toBeGreaterThanOrEqual(cost(users, zones));
    }),
  );
});

test("a balancer in Frankfurt with three zones and a firewall, by hand", () => {
  const tier = tierEdge(planEdge(needOf()), "eu-central-1");
  // 730 h x 0.027; 1000 users / 3000 connections x 730 h x 0.008; 3 x 730 h x 0.005;
  // 1.5 million turns x 40 kB = 60 GB x 0.09; 5; 7 rules x 1; 1.5 million x 3 = 4.5 million x 0.60
  expect(monthlyUsd(tier.costs)).toBeCloseTo(19.71 + 1.95 + 10.95 + 5.4 + 5 + 7 + 2.7, 5);
});

test("three hosts behind DNS, by hand", () => {
  const tier = tierEdge(planEdge(needOf({ target: "ec2", front: "dns", waf: false })), "us-east-1");
  expect(monthlyUsd(tier.costs)).toBeCloseTo(10.95 + 7.5 + 5.4, 5);
});

test("a region without prices has no costs", () => {
  expect(tierEdge(planEdge(needOf()), "sa-east-1").costs).toEqual([]);
});

test("the dearest dimension makes the capacity units", () => {
  expect(capacityUnitHours({ users: 3_000, turnsPerMonth: 0 })).toBeCloseTo(730);
  // 730 million kB are 730 GB, one an hour.
  expect(capacityUnitHours({ users: 0, turnsPerMonth: 730e6 / 40 })).toBeCloseTo(730);
});

test("every line that pays for a type stands in a plan", () => {
  const plans = [planEdge(needOf()), planEdge(needOf({ target: "ec2", front: "dns", waf: false }))];
  const lines = plans.flatMap((plan) => tierEdge(plan, "us-east-1").costs.map(({ what }) => what));
  for (const paid of Object.values(PRICED)) {
    if ("lines" in paid) for (const each of paid.lines) expect(lines).toContain(each);
  }
});

test("asks the account for a balancer, or for an address a host", () => {
  const quotas = (changes: Partial<EdgeNeed>) =>
    planEdge(needOf(changes)).quotas.map(({ code, need }) => [code, need]);
  expect(quotas({})).toEqual([["L-53DA6B97", 1]]);
  expect(quotas({ target: "ec2", front: "dns", waf: false })).toEqual([["L-0263D0A3", 3]]);
  expect(quotas({ target: "ec2", front: "address", waf: false })).toEqual([["L-0263D0A3", 1]]);
});
