import type { Zone } from "../context.ts";
import { ConfigError, type Fault } from "../errors.ts";
import { EXCLUDED_ZONES } from "./catalog.ts";

/** Zones where machines of a type are offered. */
export interface Offering {
  readonly instanceType: string;
  /** Ids. */
  readonly zoneIds: readonly string[];
}

export interface ZoneNeed {
  readonly region: string;
  /** Two or three. Even the smallest fleet needs two: balancers and databases refuse less. */
  readonly count: number;
  /** What the account may use in the region, in any order. */
  readonly offered: readonly Zone[];
  /** Ids from `aws.zones`, in the order in which subnets are numbered. */
  readonly pinned?: readonly string[] | undefined;
  /** Ids of those that a network has already: they come first, in their order. Unused with pins. */
  readonly stood?: readonly string[] | undefined;
  /** Types that must run in every zone; any zone will do when left out. */
  readonly offerings?: readonly Offering[];
}

/**
 * The zones of a fleet. Without pins those it has, and then the ones with the lowest ids that can hold
 * everything: ids, since an account's names are its own, and lowest first, since a region's new zones
 * are numbered upwards.
 * Throws ConfigError with every fault.
 */
export function chooseZones({
  region,
  count,
  offered,
  pinned,
  stood = [],
  offerings = [],
}: ZoneNeed): Zone[] {
  const objection = (id: string) => obstacle(id, offered, offerings);
  const usable = offered.filter(({ id }) => !objection(id)).sort(byId);
  const faults: Fault[] = [];
  const named = pinned ?? stood;
  const choices = `It can use ${usable.map(({ id }) => id).join(", ") || "no zone"}`;
  if (pinned && pinned.length !== count) {
    faults.push({
      setting: "aws.zones",
      problem: `names ${pinned.length} zones, and the network has ${count}`,
      remedy: `Name ${count}, or set network.zones to ${pinned.length}. ${choices}`,
    });
  }
  named.forEach((id, i) => {
    const problem = named.indexOf(id) < i ? "is named twice" : objection(id);
    if (problem) {
      faults.push({
        setting: `aws.zones[${i}]`,
        problem: `is ${id}, which ${problem}`,
        remedy: choices,
      });
    }
  });
  const further = pinned ? [] : usable.filter(({ id }) => !named.includes(id));
  if (!pinned && usable.length < count) {
    const others = offered.map(({ id }) => `${id} ${objection(id) ?? "can be used"}`).sort();
    faults.push({
      setting: "aws.region",
      problem: `is ${region}, where ${usable.length} of ${count} zones can hold the fleet (${others.join("; ") || "it offers none"})`,
      remedy: "Use another region or other machine types, or set network.zones to 2",
    });
  }
  if (faults.length > 0) throw new ConfigError(faults);
  const first = named.map((id) => offered.find((zone) => zone.id === id) as Zone);
  return [...first, ...further].slice(0, count);
}

/** Why a zone cannot be used; undefined when it can. */
function obstacle(
  id: string,
  offered: readonly Zone[],
  offerings: readonly Offering[],
): string | undefined {
  if (!offered.some((zone) => zone.id === id))
    return "is not offered to the account in this region";
  if (EXCLUDED_ZONES.includes(id)) return "cannot hold a cluster or newer machines";
  const lacking = offerings.filter(({ zoneIds }) => !zoneIds.includes(id));
  if (lacking.length === 0) return undefined;
  return `does not offer ${lacking.map(({ instanceType }) => instanceType).join(", ")}`;
}

/** By number, not by letter: az10 comes after az9. */
export function byId(a: Zone, b: Zone): number {
  return a.id.localeCompare(b.id, "en", { numeric: true });
}
