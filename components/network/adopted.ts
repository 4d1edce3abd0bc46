import type { Zone } from "../context.ts";
import type { Fault } from "../errors.ts";
import { demands, fits, roomOf, SUBNET_KINDS, type SubnetKind } from "./addresses.ts";
import { BALANCER_FREE, BALANCER_PREFIX } from "./catalog.ts";
import { parseCidr } from "./cidr.ts";
import type { NetworkNeed, NetworkPlan } from "./plan.ts";
import { checkOverlaps } from "./range.ts";
import { byId } from "./zones.ts";

/** A subnet as AWS describes it. */
export interface SubnetFacts {
  readonly id: string;
  readonly vpcId: string;
  readonly zone: Zone;
  readonly cidr: string;
  /** Addresses that nothing uses, ours included. */
  readonly free: number;
}

/** What was looked up of a VPC that exists. */
export interface AdoptedFacts {
  readonly vpcId: string;
  readonly cidr: string;
  readonly dnsSupport: boolean;
  readonly dnsHostnames: boolean;
  /** In the order in which the settings name them. */
  readonly subnets: Readonly<Record<SubnetKind, readonly SubnetFacts[]>>;
}

/** Zones of an adopted VPC: those of its private subnets, as pinned or by id. */
export function zonesOfAdopted(facts: AdoptedFacts, pinned?: readonly string[]): Zone[] {
  const all = new Map(facts.subnets.private.map(({ zone }) => [zone.id, zone]));
  if (!pinned) return [...all.values()].sort(byId);
  return pinned.flatMap((id) => all.get(id) ?? []);
}

const SETTING: Readonly<Record<SubnetKind, string>> = {
  public: "network.adopt.publicSubnetIds",
  private: "network.adopt.privateSubnetIds",
  data: "network.adopt.dataSubnetIds",
};

/** A plan that only names what is there. Adds to `faults` what is not as it must be. */
export function planAdopted(need: NetworkNeed, facts: AdoptedFacts, faults: Fault[]): NetworkPlan {
  const zones = zonesOfAdopted(facts, need.pinnedZones);
  checkVpc(need, facts, faults);
  checkPins(need, facts, faults);
  checkZones(facts, zones, faults);
  const wanted = demands(need.load, Math.max(2, zones.length), { endpoints: 0, natGateways: 0 });
  // Routes may hang on tables that several subnets share, on firewalls or on other accounts.
  const notes = ["network.adopt: that its private subnets reach the internet is taken on trust"];
  for (const demand of wanted) {
    facts.subnets[demand.kind].forEach((subnet, i) => {
      const setting = `${SETTING[demand.kind]}[${i}]`;
      const prefix = parseCidr(subnet.cidr)?.prefix ?? 32;
      // Nothing is reserved for pods in a subnet that is not ours, so blocks and single addresses share it.
      const single = demand.single + demand.blocks * 16;
      if (!fits({ ...demand, single, blocks: 0 }, prefix)) {
        faults.push({
          setting,
          problem: `is ${subnet.id} with ${subnet.cidr}, which has no room for ${single} addresses (${demand.why})`,
          remedy: "Name a wider subnet of that zone",
        });
      } else if (subnet.free < single) {
        notes.push(
          `${subnet.id} has ${subnet.free} free addresses; ${single} are used at most (${demand.why})`,
        );
      }
      const forBalancer = demand.kind === "public";
      if (forBalancer && (prefix > BALANCER_PREFIX || subnet.free < BALANCER_FREE)) {
        faults.push({
          setting,
          problem: `is ${subnet.id}, a /${prefix} with ${subnet.free} free addresses: a balancer needs a /${BALANCER_PREFIX} and ${BALANCER_FREE} free ones`,
          remedy: "Free some, or name another subnet of that zone",
        });
      }
    });
  }
  const inOrder = (kind: SubnetKind) =>
    zones.flatMap((zone) => {
      const subnet = facts.subnets[kind].find((s) => s.zone.id === zone.id);
      return subnet ? [{ cidr: subnet.cidr, id: subnet.id }] : [];
    });
  return {
    cidr: facts.cidr,
    zones: zones.length,
    adoptedVpcId: facts.vpcId,
    subnets: { public: inOrder("public"), private: inOrder("private"), data: inOrder("data") },
    nat: "none",
    natZones: [],
    interfaceEndpoints: [],
    flowLogs: false,
    kubernetes: need.load.pods !== undefined,
    room: wanted.map((demand) => {
      const prefixes = facts.subnets[demand.kind].map((s) => parseCidr(s.cidr)?.prefix ?? 32);
      return roomOf(
        { ...demand, single: demand.single + demand.blocks * 16, blocks: 0 },
        Math.max(...prefixes),
      );
    }),
    quotas: [],
    notes,
  };
}

function checkVpc(need: NetworkNeed, facts: AdoptedFacts, faults: Fault[]): void {
  const range = parseCidr(facts.cidr);
  if (range) {
    checkOverlaps({ name: "network.adopt.vpcId", cidr: facts.cidr, range }, need, faults);
  }
  const missing = [
    ...(facts.dnsSupport ? [] : ["DNS resolution"]),
    ...(facts.dnsHostnames ? [] : ["DNS hostnames"]),
  ];
  if (missing.length > 0) {
    faults.push({
      setting: "network.adopt.vpcId",
      problem: `is ${facts.vpcId}, where ${missing.join(" and ")} ${missing.length > 1 ? "are" : "is"} off: EFS and clusters are found by name`,
      remedy: "Turn it on there, or name another VPC",
    });
  }
}

function checkPins(need: NetworkNeed, facts: AdoptedFacts, faults: Fault[]): void {
  const there = new Set(facts.subnets.private.map(({ zone }) => zone.id));
  (need.pinnedZones ?? []).forEach((id, i) => {
    if (there.has(id)) return;
    faults.push({
      setting: `aws.zones[${i}]`,
      problem: `is ${id}, where none of network.adopt.privateSubnetIds is`,
      remedy: `Name zones of those subnets: ${[...there].join(", ")}`,
    });
  });
  const left = [...there].filter((id) => need.pinnedZones && !need.pinnedZones.includes(id));
  if (left.length > 0) {
    faults.push({
      setting: "aws.zones",
      problem: `leaves out ${left.join(", ")}, where network.adopt has subnets`,
      remedy: "Name these zones too, or take their subnets out of network.adopt",
    });
  }
}

/** Every list has one subnet in each zone, of this VPC, and no subnet stands in two lists. */
function checkZones(facts: AdoptedFacts, zones: readonly Zone[], faults: Fault[]): void {
  if (zones.length < 2) {
    faults.push({
      setting: SETTING.private,
      problem: `is in ${zones.length} zone${zones.length === 1 ? "" : "s"}: balancers and databases need two`,
      remedy: "Name subnets of two or three zones",
    });
  }
  const seen = new Map<string, string>();
  for (const kind of SUBNET_KINDS) {
    facts.subnets[kind].forEach((subnet, i) => {
      const setting = `${SETTING[kind]}[${i}]`;
      const earlier = seen.get(subnet.id);
      const twin = facts.subnets[kind].findIndex((s) => s.zone.id === subnet.zone.id);
      const fault = (problem: string, remedy: string) => faults.push({ setting, problem, remedy });
      if (earlier) fault(`is ${subnet.id}, which ${earlier} names too`, "Name a subnet of its own");
      else if (twin < i) {
        fault(
          `is ${subnet.id} in ${subnet.zone.id}, as ${SETTING[kind]}[${twin}] is`,
          "Name one subnet a zone",
        );
      }
      if (subnet.vpcId !== facts.vpcId) {
        fault(
          `is ${subnet.id} of ${subnet.vpcId}, not of ${facts.vpcId}`,
          "Name a subnet of network.adopt.vpcId",
        );
      }
      seen.set(subnet.id, setting);
    });
    const there = facts.subnets[kind].map((s) => s.zone.id);
    const missing = zones.filter(({ id }) => !there.includes(id));
    const extra = there.filter((id) => !zones.some((zone) => zone.id === id));
    if (kind !== "private" && (missing.length > 0 || extra.length > 0)) {
      const have = [...new Set(there)].join(", ") || "no zone";
      faults.push({
        setting: SETTING[kind],
        problem: `is in ${have}, and network.adopt.privateSubnetIds in ${zones.map(({ id }) => id).join(", ")}`,
        remedy: "Name one subnet of each of these zones in every list",
      });
    }
  }
}
