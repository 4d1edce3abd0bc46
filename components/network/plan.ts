import { ConfigError, type Fault } from "../errors.ts";
import {
  type Demand,
  demands,
  fits,
  type NetworkLoad,
  type Room,
  roomOf,
  type SubnetKind,
} from "./addresses.ts";
import { type AdoptedFacts, planAdopted } from "./adopted.ts";
import { DEFAULT_CIDR, type EndpointService, QUOTAS, VPC_PREFIX } from "./catalog.ts";
import { type Cidr, formatCidr } from "./cidr.ts";
import { subnetPrefixes, upperHalf, zoneSubnets } from "./layout.ts";
import { checkOverlaps, checkRange, type OtherRanges } from "./range.ts";
import type { NatMode } from "./settings.ts";

export type { NetworkLoad, Room, SubnetKind } from "./addresses.ts";
export { type AdoptedFacts, zonesOfAdopted } from "./adopted.ts";
export type { NamedCidr } from "./range.ts";
export { chooseZones } from "./zones.ts";

export interface NetworkNeed extends OtherRanges {
  /** `network.cidr`. @default DEFAULT_CIDR */
  readonly cidr?: string;
  /** Two or three. */
  readonly zones: number;
  /** @default per_zone where something private needs the internet, else none */
  readonly natGateways?: NatMode;
  readonly interfaceEndpoints?: readonly string[];
  readonly flowLogs?: boolean;
  readonly load: NetworkLoad;
  /** What was looked up of the VPC in `network.adopt`. */
  readonly adopted?: AdoptedFacts;
  /** Ids from `aws.zones`: the order of an adopted VPC's subnets. */
  readonly pinnedZones?: readonly string[];
}

export interface SubnetPlan {
  readonly cidr: string;
  /** Part kept for the blocks of pods. */
  readonly podCidr?: string;
  /** Set when it exists already. */
  readonly id?: string;
}

/** What the account must allow. */
export interface QuotaNeed {
  readonly service: string;
  readonly code: string;
  readonly name: string;
  /** What this network uses in all. */
  readonly need: number;
}

export interface NetworkPlan {
  readonly cidr: string;
  readonly zones: number;
  /** The VPC that is taken as it is; null: one is made. */
  readonly adoptedVpcId: string | null;
  /** In the order of the zones. */
  readonly subnets: Readonly<Record<SubnetKind, readonly SubnetPlan[]>>;
  readonly nat: NatMode;
  /** Places in the list of zones that have an address for outgoing connections. */
  readonly natZones: readonly number[];
  readonly interfaceEndpoints: readonly EndpointService[];
  readonly flowLogs: boolean;
  /** Subnets carry the roles that Kubernetes looks for. */
  readonly kubernetes: boolean;
  readonly room: readonly Room[];
  readonly quotas: readonly QuotaNeed[];
  /** What a person should know, without being an error. */
  readonly notes: readonly string[];
}

/** Lays a network out, or checks one that exists. Throws ConfigError with every fault. */
export function planNetwork(need: NetworkNeed): NetworkPlan {
  const faults: Fault[] = [];
  if (need.zones !== 2 && need.zones !== 3) {
    faults.push({
      setting: "network.zones",
      problem: `is ${need.zones}: a fleet lies in two or three zones`,
      remedy: "Set it to 2 or 3",
    });
    throw new ConfigError(faults);
  }
  const plan = need.adopted ? planAdopted(need, need.adopted, faults) : planOwn(need, faults);
  if (faults.length > 0) throw new ConfigError(faults);
  return plan;
}

function planOwn(need: NetworkNeed, faults: Fault[]): NetworkPlan {
  const { zones, load } = need;
  const cidr = need.cidr ?? DEFAULT_CIDR;
  const vpc = checkRange(cidr, faults);
  if (vpc) checkOverlaps({ name: "network.cidr", cidr, range: vpc }, need, faults);
  const private_ = load.privateHosts > 0 || load.pods !== undefined;
  const nat = need.natGateways ?? (private_ ? "per_zone" : "none");
  if (nat === "none" && private_) {
    faults.push({
      setting: "network.natGateways",
      problem: `is none, and ${load.pods ? "the cluster's nodes are" : `${load.privateHosts} hosts are`} in private subnets, from where model providers could not be reached`,
      remedy: "Set it to one, per_zone or regional, or leave it out",
    });
  }
  const natZones = nat === "none" ? [] : nat === "one" ? [0] : range(zones);
  const interfaceEndpoints = [
    ...new Set(need.interfaceEndpoints ?? []),
  ].sort() as EndpointService[];
  // A regional gateway is in no subnet.
  const wanted = demands(load, zones, {
    endpoints: interfaceEndpoints.length,
    natGateways: nat === "one" || nat === "per_zone" ? 1 : 0,
  });
  if (vpc) checkRoom(cidr, vpc, wanted, faults);
  const parts = vpc ? range(zones).map((zone) => zoneSubnets(vpc, zone)) : [];
  const podsIn = (subnet: Cidr) => (load.pods ? { podCidr: formatCidr(upperHalf(subnet)) } : {});
  return {
    cidr,
    zones,
    adoptedVpcId: null,
    subnets: {
      public: parts.map((p) => ({ cidr: formatCidr(p.public) })),
      private: parts.map((p) => ({ cidr: formatCidr(p.private), ...podsIn(p.private) })),
      data: parts.map((p) => ({ cidr: formatCidr(p.data) })),
    },
    nat,
    natZones,
    interfaceEndpoints,
    flowLogs: need.flowLogs ?? false,
    kubernetes: load.pods !== undefined,
    room: vpc
      ? wanted.map((demand) => roomOf(demand, subnetPrefixes(vpc.prefix)[demand.kind]))
      : [],
    quotas: [
      { ...QUOTAS.vpcs, need: 1 },
      { ...QUOTAS.internetGateways, need: 1 },
      ...(natZones.length > 0 ? [{ ...QUOTAS.elasticIps, need: natZones.length }] : []),
      // A regional gateway is in no zone's count.
      ...(nat === "one" || nat === "per_zone" ? [{ ...QUOTAS.natGateways, need: 1 }] : []),
      ...(interfaceEndpoints.length > 0
        ? [{ ...QUOTAS.interfaceEndpoints, need: interfaceEndpoints.length }]
        : []),
    ],
    notes:
      nat === "one"
        ? [
            "one NAT gateway: the loss of its zone cuts every private machine off from model providers",
          ]
        : [],
  };
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

function checkRoom(cidr: string, vpc: Cidr, wanted: readonly Demand[], faults: Fault[]): void {
  for (const demand of wanted) {
    const prefix = subnetPrefixes(vpc.prefix)[demand.kind];
    if (fits(demand, prefix)) continue;
    const enough = widerThatFits(demand, vpc.prefix);
    const asked =
      demand.blocks > 0
        ? `${demand.single} addresses and ${demand.blocks} blocks of a /28`
        : `${demand.single} addresses`;
    const has = roomOf(demand, prefix);
    const room = demand.blocks > 0 ? `${has.addresses} and ${has.podBlocks}` : `${has.addresses}`;
    faults.push({
      setting: "network.cidr",
      problem: `is ${cidr}: each zone's ${demand.kind} subnet is a /${prefix} with room for ${room}, and ${asked} are needed (${demand.why})`,
      remedy: enough
        ? `Set it to a /${enough} or wider`
        : "Lower the number of nodes or pods: no range that AWS allows is wide enough",
    });
  }
}

/** Narrowest range that is wide enough for this demand; undefined when none is. */
function widerThatFits(demand: Demand, from: number): number | undefined {
  for (let prefix = from; prefix >= VPC_PREFIX.widest; prefix--) {
    if (fits(demand, subnetPrefixes(prefix)[demand.kind])) return prefix;
  }
  return undefined;
}
