import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ConfigError, type Fault } from "../../../components/errors.ts";
import { TAKEN_RANGES } from "../../../components/network/catalog.ts";
import {
  aligned,
  type Cidr,
  contains,
  formatCidr,
  overlap,
  parseCidr,
  sizeOf,
} from "../../../components/network/cidr.ts";
import {
  type NetworkLoad,
  type NetworkNeed,
  type NetworkPlan,
  planNetwork,
} from "../../../components/network/plan.ts";

const LOAD: NetworkLoad = { balancers: 1, publicHosts: 0, privateHosts: 3, dataPerZone: 8 };
const CLUSTER: NetworkLoad = { ...LOAD, privateHosts: 0, pods: { nodes: 10, podsPerNode: 110 } };

function plan(need: Partial<NetworkNeed> = {}): NetworkPlan {
  return planNetwork({ zones: 3, load: LOAD, ...need });
}

function faultsOf(need: Partial<NetworkNeed>): readonly Fault[] {
  try {
    plan(need);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

const cidr = (text: string) => parseCidr(text) as Cidr;
const subnetsOf = (p: NetworkPlan) =>
  Object.values(p.subnets).flatMap((list) => list.map((subnet) => subnet.cidr));

/** Ranges that a network may lie in and that nothing else uses. */
const ranges = fc
  .record({
    home: fc.constantFrom(["10.0.0.0", 8], ["192.168.0.0", 16], ["100.64.0.0", 10]),
    prefix: fc.integer({ min: 16, max: 23 }),
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  })
  .map(({ home: [address, bits], prefix, at }) => {
    const room = cidr(`${address}/${bits}`);
    const first = room.first + Math.floor(at * sizeOf(room.prefix));
    return formatCidr(aligned({ first, prefix }));
  });

/** A load that every range has room for. */
const SMALL: NetworkLoad = { balancers: 1, publicHosts: 0, privateHosts: 2, dataPerZone: 6 };

describe("laws of the layout", () => {
  test("subnets never overlap, lie inside the range and begin where their mask says", () => {
    fc.assert(
      fc.property(ranges, fc.constantFrom(2, 3), (range, zones) => {
        const subnets = subnetsOf(plan({ cidr: range, zones, load: SMALL })).map(cidr);
        expect(subnets).toHaveLength(3 * zones);
        subnets.forEach((subnet, i) => {
          expect(contains(cidr(range), subnet)).toBe(true);
          expect(aligned(subnet)).toEqual(subnet);
          for (const other of subnets.slice(i + 1)) expect(overlap(subnet, other)).toBe(false);
        });
      }),
    );
  });

  test("a third zone moves no subnet of the first two", () => {
    fc.assert(
      fc.property(ranges, (range) => {
        const two = plan({ cidr: range, zones: 2, load: SMALL });
        const three = plan({ cidr: range, zones: 3, load: SMALL });
        for (const kind of ["public", "private", "data"] as const) {
          expect(three.subnets[kind].slice(0, 2)).toEqual(two.subnets[kind]);
        }
      }),
    );
  });

  test("neither nodes, balancers, gateways nor endpoints move a subnet", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom("one", "per_zone", "regional"),
        (nodes, balancers, natGateways) => {
          const load = { ...CLUSTER, balancers, pods: { nodes, podsPerNode: 110 } };
          const p = plan({ load, natGateways, interfaceEndpoints: ["sts", "logs"] });
          expect(subnetsOf(p)).toEqual(subnetsOf(plan()));
        },
      ),
    );
  });

  test("a plan that is not refused has room for everything, with one zone lost", () => {
    fc.assert(
      fc.property(
        ranges,
        fc.constantFrom(2, 3),
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 1, max: 110 }),
        fc.integer({ min: 0, max: 40 }),
        (range, zones, nodes, podsPerNode, dataPerZone) => {
          const load = { ...SMALL, dataPerZone, pods: { nodes, podsPerNode } };
          if (faultsOf({ cidr: range, zones, load }).length > 0) return;
          const p = plan({ cidr: range, zones, load });
          for (const room of p.room) {
            expect(room.needed).toBeLessThanOrEqual(room.addresses);
            expect(room.podBlocksNeeded).toBeLessThanOrEqual(room.podBlocks);
          }
          // By hand: what is left of the zones holds every pod in blocks of 16 addresses.
          const halves = (zones - 1) * sizeOf(cidr(p.subnets.private[0]?.podCidr ?? "").prefix);
          expect(nodes * Math.ceil(podsPerNode / 16) * 16).toBeLessThanOrEqual(halves);
          expect(sizeOf(cidr(p.subnets.data[0]?.cidr ?? "").prefix) - 5).toBeGreaterThanOrEqual(
            dataPerZone,
          );
        },
      ),
    );
  });

  test("a range never fits less than a narrower one", () => {
    const fitsIn = (prefix: number, nodes: number) =>
      faultsOf({
        cidr: `10.64.0.0/${prefix}`,
        load: { ...CLUSTER, pods: { nodes, podsPerNode: 58 } },
      }).length === 0;
    fc.assert(
      fc.property(
        fc.integer({ min: 17, max: 23 }),
        fc.integer({ min: 0, max: 200 }),
        (p, nodes) => {
          if (fitsIn(p, nodes)) expect(fitsIn(p - 1, nodes)).toBe(true);
        },
      ),
    );
  });

  test("pods get the upper half of private subnets, and nothing else does", () => {
    fc.assert(
      fc.property(ranges, (range) => {
        const load = { ...SMALL, privateHosts: 0, pods: { nodes: 0, podsPerNode: 1 } };
        if (faultsOf({ cidr: range, load }).length > 0) return;
        for (const { cidr: whole, podCidr } of plan({ cidr: range, load }).subnets.private) {
          const half = cidr(podCidr as string);
          expect(contains(cidr(whole), half)).toBe(true);
          expect(half.first).toBe(cidr(whole).first + sizeOf(half.prefix));
        }
      }),
    );
    expect(plan().subnets.private.every((s) => s.podCidr === undefined)).toBe(true);
  });
});

describe("a range that cannot be is refused before anything is made", () => {
  test.each([
    ["nonsense", "no range of addresses", "Write it like"],
    ["10.300.0.0/16", "no range of addresses", "Write it like"],
    ["10.64.0.0/33", "no range of addresses", "Write it like"],
    ["10.64.3.0/16", "does not begin where a /16 begins", "10.64.0.0/16"],
    ["10.0.0.0/15", "wider than the /16", "10.0.0.0/16"],
    ["10.64.0.0/24", "too small", "/23"],
    ["8.8.0.0/16", "belong to somebody on the internet", "10.0.0.0/8"],
  ])("%s: %s", (range, problem, remedy) => {
    const faults = faultsOf({ cidr: range });
    expect(faults).toHaveLength(1);
    expect(faults[0]?.setting).toBe("network.cidr");
    expect(faults[0]?.problem).toContain(range);
    expect(faults[0]?.problem).toContain(problem);
    expect(faults[0]?.remedy).toContain(remedy);
  });

  test("a /23 is the narrowest that works: its public subnets are the /27 that a balancer takes", () => {
    const p = plan({ cidr: "192.168.0.0/23", load: SMALL });
    expect(p.subnets.public.map((s) => s.cidr)).toEqual([
      "192.168.0.64/27",
      "192.168.0.192/27",
      "192.168.1.64/27",
    ]);
    expect(p.subnets.private[0]?.cidr).toBe("192.168.0.0/26");
    expect(p.subnets.data[0]?.cidr).toBe("192.168.0.96/28");
  });

  test("overlaps with the containers' bridge, named networks and the cluster's services are all told", () => {
    const faults = faultsOf({
      cidr: "172.17.0.0/16",
      otherCidrs: ["10.0.0.0/8", "172.16.0.0/12", "office"],
      taken: [
        { name: "the services of the cluster", cidr: "172.17.128.0/20" },
        { name: "something apart", cidr: "10.100.0.0/16" },
      ],
    });
    const said = faults.map((f) => `${f.setting} ${f.problem}`);
    expect(said).toHaveLength(4);
    expect(said).toContainEqual(expect.stringContaining("network.otherCidrs[1] 172.16.0.0/12"));
    expect(said).toContainEqual(expect.stringMatching(/^network\.otherCidrs\[2\] is office/));
    expect(said).toContainEqual(expect.stringContaining(TAKEN_RANGES[0]?.name as string));
    expect(said).toContainEqual(expect.stringContaining("the services of the cluster"));
  });

  test.each([1, 4, 0])("%i zones are refused: balancers and databases need two", (zones) => {
    expect(faultsOf({ zones }).map((f) => f.setting)).toEqual(["network.zones"]);
  });
});

describe("addresses", () => {
  const podFaults = (nodes: number, podsPerNode: number) =>
    faultsOf({ cidr: "10.64.0.0/20", load: { ...CLUSTER, pods: { nodes, podsPerNode } } });

  test("pods are counted in blocks of 16 with one warm block a node: exactly full, and one over", () => {
    // A /20 has private subnets of 512; the upper half has 16 blocks, of which AWS's own address
    // takes one. 15 blocks: 5 nodes of 2+1 blocks. One of them is for rolling changes, so 4 a zone,
    // and 8 in the two zones that are left.
    expect(podFaults(8, 32)).toEqual([]);
    expect(podFaults(9, 32)).toHaveLength(1);
    expect(podFaults(8, 33)).toHaveLength(1);
  });

  test("a /16 holds 60 nodes of 110 pods with a zone lost, and not 61", () => {
    const of = (nodes: number) =>
      faultsOf({ load: { ...CLUSTER, pods: { nodes, podsPerNode: 110 } } });
    expect(of(60)).toEqual([]);
    expect(of(61)).toHaveLength(1);
  });

  test("the remedy is a range that works", () => {
    const [fault] = podFaults(9, 32);
    expect(fault?.setting).toBe("network.cidr");
    expect(fault?.problem).toContain("private subnet is a /23");
    expect(fault?.remedy).toBe("Set it to a /19 or wider");
    const wider = { ...CLUSTER, pods: { nodes: 9, podsPerNode: 32 } };
    expect(faultsOf({ cidr: "10.64.0.0/19", load: wider })).toEqual([]);
  });

  test("what no range can hold says so", () => {
    const [fault] = faultsOf({ load: { ...CLUSTER, pods: { nodes: 2000, podsPerNode: 110 } } });
    expect(fault?.remedy).toContain("Lower the number of nodes");
  });

  test("each public subnet has the 8 free addresses that a balancer needs, beside hosts and NAT", () => {
    // A /27 has 27 usable: 8 for the balancer, one for NAT, 18 for hosts, twice that over three zones.
    const of = (publicHosts: number) =>
      faultsOf({
        cidr: "10.64.0.0/23",
        natGateways: "per_zone",
        load: { ...SMALL, publicHosts },
      });
    expect(of(36)).toEqual([]);
    expect(of(37).map((f) => f.problem)).toEqual([expect.stringContaining("public subnet")]);
  });

  test("data subnets hold what the parts in them need", () => {
    const of = (dataPerZone: number) =>
      faultsOf({ cidr: "10.64.0.0/23", load: { ...SMALL, dataPerZone } });
    expect(of(11)).toEqual([]);
    expect(of(12)).toHaveLength(1);
  });
});

describe("the way out", () => {
  test("private machines without NAT are refused: they could reach no model provider", () => {
    for (const load of [LOAD, CLUSTER]) {
      expect(faultsOf({ load, natGateways: "none" }).map((f) => f.setting)).toEqual([
        "network.natGateways",
      ]);
    }
    const bare = { ...LOAD, privateHosts: 0, publicHosts: 2 };
    expect(plan({ load: bare, natGateways: "none" }).natZones).toEqual([]);
  });

  test.each([
    ["one", [0]],
    ["per_zone", [0, 1, 2]],
    ["regional", [0, 1, 2]],
  ] as const)("%s has addresses in zones %j, and counts them against the quota", (mode, zones) => {
    const p = plan({ natGateways: mode });
    expect(p.natZones).toEqual(zones);
    expect(p.quotas).toContainEqual({
      service: "ec2",
      code: "L-0263D0A3",
      name: "EC2-VPC Elastic IPs",
      need: zones.length,
    });
    const perZone = p.quotas.find(({ code }) => code === "L-FE5A380F");
    expect(perZone?.need).toBe(mode === "regional" ? undefined : 1);
    expect(p.notes.some((note) => note.includes("one NAT gateway"))).toBe(mode === "one");
  });

  test("left out, it is one a zone for private machines, and none without", () => {
    expect(plan().nat).toBe("per_zone");
    expect(plan({ load: { ...LOAD, privateHosts: 0 } }).nat).toBe("none");
  });

  test("endpoints are in a fixed order, each once, whatever the order of the setting", () => {
    const p = plan({ interfaceEndpoints: ["sts", "ecr.api", "sts"] });
    expect(p.interfaceEndpoints).toEqual(["ecr.api", "sts"]);
    expect(p.quotas).toContainEqual(expect.objectContaining({ code: "L-29B6F2EB", need: 2 }));
  });
});
