import { describe, expect, test } from "vitest";
import { ConfigError, type Fault } from "../../../components/errors.ts";
import {
  type AdoptedFacts,
  type SubnetFacts,
  zonesOfAdopted,
} from "../../../components/network/adopted.ts";
import { type NetworkNeed, planNetwork } from "../../../components/network/plan.ts";

const VPC = "vpc-0123456789abcdef0";
const zoneOf = (n: number) => ({ id: `euc1-az${n}`, name: `eu-central-1${"xabc"[n]}` });
const subnet = (third: number, zone: number, more: Partial<SubnetFacts> = {}): SubnetFacts => ({
  id: `subnet-${third.toString(16).padStart(8, "0")}`,
  vpcId: VPC,
  zone: zoneOf(zone),
  cidr: `10.9.${third}.0/24`,
  free: 200,
  ...more,
});

const FACTS: AdoptedFacts = {
  vpcId: VPC,
  cidr: "10.9.0.0/16",
  dnsSupport: true,
  dnsHostnames: true,
  subnets: {
    public: [subnet(2, 2), subnet(1, 1)],
    private: [subnet(12, 2), subnet(11, 1)],
    data: [subnet(21, 1), subnet(22, 2)],
  },
};

const NEED: NetworkNeed = {
  zones: 2,
  load: { balancers: 1, publicHosts: 0, privateHosts: 3, dataPerZone: 8 },
  adopted: FACTS,
};

function faultsOf(facts: Partial<AdoptedFacts>, need: Partial<NetworkNeed> = {}): readonly Fault[] {
  try {
    planNetwork({ ...NEED, ...need, adopted: { ...FACTS, ...facts } });
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}
const withSubnets = (some: Partial<AdoptedFacts["subnets"]>) => ({
  subnets: { ...FACTS.subnets, ...some },
});

test("an adopted VPC is named, zone by zone, and nothing is planned into it", () => {
  const plan = planNetwork({
    ...NEED,
    natGateways: "per_zone",
    interfaceEndpoints: ["sts"],
    flowLogs: true,
  });
  expect(plan).toMatchObject({
    adoptedVpcId: VPC,
    cidr: "10.9.0.0/16",
    nat: "none",
    natZones: [],
    interfaceEndpoints: [],
    flowLogs: false,
    quotas: [],
    notes: [expect.stringContaining("taken on trust")],
  });
  expect(plan.subnets.public.map((s) => s.id)).toEqual(["subnet-00000001", "subnet-00000002"]);
  expect(plan.subnets.private.map((s) => s.cidr)).toEqual(["10.9.11.0/24", "10.9.12.0/24"]);
});

test("pinned zones give the order of its subnets", () => {
  const pinnedZones = ["euc1-az2", "euc1-az1"];
  expect(zonesOfAdopted(FACTS, pinnedZones).map((z) => z.name)).toEqual([
    "eu-central-1b",
    "eu-central-1a",
  ]);
  const plan = planNetwork({ ...NEED, pinnedZones });
  expect(plan.subnets.data.map((s) => s.cidr)).toEqual(["10.9.22.0/24", "10.9.21.0/24"]);
});

describe("an adopted VPC is refused with every fault, when", () => {
  test("a subnet is another VPC's", () => {
    const data = [subnet(21, 1, { vpcId: "vpc-00000000" }), subnet(22, 2)];
    expect(faultsOf(withSubnets({ data }))).toEqual([
      {
        setting: "network.adopt.dataSubnetIds[0]",
        problem: `is subnet-00000015 of vpc-00000000, not of ${VPC}`,
        remedy: "Name a subnet of network.adopt.vpcId",
      },
    ]);
  });

  test("a zone has two subnets of a kind, or none", () => {
    const faults = faultsOf(withSubnets({ public: [subnet(1, 1), subnet(2, 1)] }));
    expect(faults.map((f) => f.setting)).toEqual([
      "network.adopt.publicSubnetIds[1]",
      "network.adopt.publicSubnetIds",
    ]);
    expect(faults[1]?.problem).toBe(
      "is in euc1-az1, and network.adopt.privateSubnetIds in euc1-az1, euc1-az2",
    );
  });

  test("a list reaches into a zone where the machines are not", () => {
    const data = [subnet(21, 1), subnet(22, 2), subnet(23, 3)];
    expect(faultsOf(withSubnets({ data })).map((f) => f.setting)).toEqual([
      "network.adopt.dataSubnetIds",
    ]);
  });

  test("a subnet stands in two lists", () => {
    const faults = faultsOf(withSubnets({ data: [subnet(11, 1), subnet(22, 2)] }));
    expect(faults[0]?.problem).toBe(
      "is subnet-0000000b, which network.adopt.privateSubnetIds[1] names too",
    );
  });

  test("it lies in one zone only", () => {
    const one = { public: [subnet(1, 1)], private: [subnet(11, 1)], data: [subnet(21, 1)] };
    expect(faultsOf({ subnets: one }).map((f) => f.problem)).toEqual([
      "is in 1 zone: balancers and databases need two",
    ]);
  });

  test("names do not resolve in it", () => {
    expect(faultsOf({ dnsHostnames: false }).map((f) => f.setting)).toEqual([
      "network.adopt.vpcId",
    ]);
  });

  test("it overlaps what it must be apart from", () => {
    const taken = [{ name: "the services of the cluster", cidr: "10.9.128.0/20" }];
    expect(faultsOf({}, { taken })[0]?.setting).toBe("network.adopt.vpcId");
  });

  test("a public subnet is too full or too small for a balancer: 8 free in a /27, not 7, not a /28", () => {
    const of = (more: Partial<SubnetFacts>) =>
      faultsOf(withSubnets({ public: [subnet(1, 1, more), subnet(2, 2)] })).map((f) => f.setting);
    expect(of({ free: 8, cidr: "10.9.1.0/27" })).toEqual([]);
    expect(of({ free: 7, cidr: "10.9.1.0/27" })).toEqual(["network.adopt.publicSubnetIds[0]"]);
    expect(of({ free: 8, cidr: "10.9.1.0/28" })).toContain("network.adopt.publicSubnetIds[0]");
  });

  test("pods do not fit in a private subnet", () => {
    const load = { ...NEED.load, pods: { nodes: 3, podsPerNode: 58 } };
    const faults = faultsOf({}, { load });
    expect(faults.map((f) => f.setting)).toEqual([
      "network.adopt.privateSubnetIds[0]",
      "network.adopt.privateSubnetIds[1]",
    ]);
    const wide = [12, 11].map((n, i) =>
      subnet(n, 2 - i, { cidr: `10.9.${n * 8}.0/22`, free: 900 }),
    );
    expect(faultsOf(withSubnets({ private: wide }), { load })).toEqual([]);
  });

  test("pinned zones are not the subnets' zones", () => {
    const faults = faultsOf({}, { pinnedZones: ["euc1-az1", "euc1-az3"] });
    expect(faults.map((f) => f.setting)).toContain("aws.zones[1]");
    expect(faults.map((f) => f.setting)).toContain("aws.zones");
  });
});

test("a subnet that fills up with what the fleet itself made is a note, not a fault", () => {
  const priv = [subnet(12, 2, { free: 1 }), subnet(11, 1)];
  const plan = planNetwork({ ...NEED, adopted: { ...FACTS, ...withSubnets({ private: priv }) } });
  expect(plan.notes).toContainEqual(expect.stringContaining("subnet-0000000c has 1 free"));
});
