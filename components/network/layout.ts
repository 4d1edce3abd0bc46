import { BALANCER_PREFIX, VPC_PREFIX } from "./catalog.ts";
import { type Cidr, part } from "./cidr.ts";

/** Most zones that a range is cut for. The fourth part stays free, for what nobody thought of. */
const ZONE_SLOTS_BITS = 2;

/** Bits by which a subnet is smaller than the whole: half, a quarter and an eighth of its zone's part. */
const BITS = {
  private: ZONE_SLOTS_BITS + 1,
  public: ZONE_SLOTS_BITS + 2,
  data: ZONE_SLOTS_BITS + 3,
} as const;

/** Masks of the subnets in a range whose mask has this length. */
export function subnetPrefixes(vpcPrefix: number) {
  return {
    public: vpcPrefix + BITS.public,
    private: vpcPrefix + BITS.private,
    data: vpcPrefix + BITS.data,
  };
}

/** Narrowest range whose public subnets a balancer takes and whose data subnets AWS allows. */
export const NARROWEST_VPC = Math.min(
  BALANCER_PREFIX - BITS.public,
  VPC_PREFIX.narrowest - BITS.data,
);

/**
 * Subnets of one zone. A zone's part depends on its place in the list alone: another zone, balancer or
 * node never moves a subnet, since a moved one takes everything in it along.
 */
export function zoneSubnets(vpc: Cidr, zone: number) {
  const zoneFirst = part(vpc, vpc.prefix + ZONE_SLOTS_BITS, zone).first;
  const slot = { first: zoneFirst, prefix: vpc.prefix + ZONE_SLOTS_BITS };
  const prefixes = subnetPrefixes(vpc.prefix);
  return {
    private: part(slot, prefixes.private, 0),
    public: part(slot, prefixes.public, 2),
    data: part(slot, prefixes.data, 6),
  };
}

/** Upper half of a subnet, for the blocks of pods. */
export function upperHalf(subnet: Cidr): Cidr {
  return part(subnet, subnet.prefix + 1, 1);
}
