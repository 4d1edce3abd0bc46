import type { Fault } from "../errors.ts";
import { DEFAULT_CIDR, PRIVATE_RANGES, TAKEN_RANGES, VPC_PREFIX } from "./catalog.ts";
import { aligned, type Cidr, contains, formatCidr, overlap, parseCidr } from "./cidr.ts";
import { NARROWEST_VPC } from "./layout.ts";

/** A range that is somebody else's. */
export interface NamedCidr {
  /** What it is, e.g. `the services of the cluster`. */
  readonly name: string;
  readonly cidr: string;
}

/** Ranges that a network must be apart from. */
export interface OtherRanges {
  /** `network.otherCidrs`. */
  readonly otherCidrs?: readonly string[];
  /** Ranges of other parts of the fleet, e.g. the cluster's services. */
  readonly taken?: readonly NamedCidr[];
}

/** The range as a block, unless nothing can be laid out in it. */
export function checkRange(text: string, faults: Fault[]): Cidr | undefined {
  const fault = (problem: string, remedy: string) => {
    faults.push({ setting: "network.cidr", problem: `is ${text}${problem}`, remedy });
    return undefined;
  };
  const vpc = parseCidr(text);
  if (!vpc) return fault(", which is no range of addresses", `Write it like ${DEFAULT_CIDR}`);
  const start = aligned(vpc);
  if (start.first !== vpc.first) {
    return fault(
      `, which does not begin where a /${vpc.prefix} begins`,
      `Set it to ${formatCidr(start)}`,
    );
  }
  if (vpc.prefix < VPC_PREFIX.widest) {
    return fault(
      `, wider than the /${VPC_PREFIX.widest} that AWS allows`,
      `Set it to ${formatCidr({ ...vpc, prefix: VPC_PREFIX.widest })}`,
    );
  }
  if (vpc.prefix > NARROWEST_VPC) {
    return fault(
      `, too small for public, private and data subnets in every zone`,
      `Set it to a /${NARROWEST_VPC} or wider`,
    );
  }
  const known = PRIVATE_RANGES.map((r) => parseCidr(r) as Cidr);
  if (!known.some((r) => contains(r, vpc))) {
    return fault(
      ", addresses that belong to somebody on the internet",
      `Take a range from ${PRIVATE_RANGES.join(", ")}`,
    );
  }
  return vpc;
}

/** Ranges that must be apart from the network's, and faults for those that are not. */
export function checkOverlaps(
  own: { name: string; cidr: string; range: Cidr },
  need: OtherRanges,
  faults: Fault[],
): void {
  (need.otherCidrs ?? []).forEach((text, i) => {
    const other = parseCidr(text);
    const setting = `network.otherCidrs[${i}]`;
    if (!other) {
      faults.push({
        setting,
        problem: `is ${text}, which is no range of addresses`,
        remedy: `Write it like ${DEFAULT_CIDR}`,
      });
    } else if (overlap(own.range, aligned(other))) {
      faults.push({
        setting: own.name,
        problem: `is ${own.cidr}, which overlaps ${setting} ${text}`,
        remedy: "Choose a range that nothing else uses",
      });
    }
  });
  for (const { name, cidr } of [...TAKEN_RANGES, ...(need.taken ?? [])]) {
    const other = parseCidr(cidr);
    if (other && overlap(own.range, other)) {
      faults.push({
        setting: own.name,
        problem: `is ${own.cidr}, which overlaps ${name} ${cidr}`,
        remedy: "Choose a range that nothing else uses",
      });
    }
  }
}
