import { ConfigError, type Fault } from "../../components/errors.ts";
import type { Recorded } from "./facts.ts";
import type { AwsStackSettings } from "./plan.ts";

/**
 * The zones that a stack stands in stay, in their order, whatever the region offers later and however
 * many a smaller preset would have: a subnet's addresses follow from its zone's place, and a zone that is
 * taken back takes what stands in it along. `count` is what the settings come to; more than there are
 * are added behind (`chooseZones`). Of an adopted network nothing is moved, so there only the order is
 * kept. Throws ConfigError where a person wrote otherwise.
 */
export function keepZones(
  settings: AwsStackSettings,
  { zones: stood }: Recorded,
  count: number,
): AwsStackSettings {
  const { aws, network } = settings;
  if (!aws || !stood || stood.length === 0) return settings;
  const kept = { ...settings, aws: { ...aws, zones: [...stood] } };
  if (network.adopt) return aws.zones || stood.length !== count ? settings : kept;
  const faults: Fault[] = [];
  const there = stood.join(", ");
  if (aws.zones && stood.some((id, i) => aws.zones?.[i] !== id)) {
    faults.push({
      setting: "aws.zones",
      problem: `is ${aws.zones.join(", ")}, and the stack stands in ${there}: other zones, or another order, would make its subnets anew, with everything in them`,
      remedy: `Begin with ${there}, or leave it out. For other zones make another stack and move there`,
    });
  }
  if (network.zones !== undefined && network.zones < stood.length) {
    faults.push({
      setting: "network.zones",
      problem: `is ${network.zones}, and the stack stands in ${stood.length} (${there}): a zone is never taken back, with what stands in it`,
      remedy: `Set it to ${stood.length} or leave it out. For fewer zones make another stack and move there`,
    });
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return aws.zones || count > stood.length ? settings : kept;
}

/**
 * The zones of a base that another stack made, in the order of its subnets: a disk in another zone than
 * its machine's subnet never comes together with it. Throws ConfigError where a person wrote otherwise.
 */
export function inZonesOf(
  settings: AwsStackSettings,
  zoneIds: readonly string[],
): AwsStackSettings {
  const { aws, network } = settings;
  if (!aws) return settings;
  const there = zoneIds.join(", ");
  const faults: Fault[] = [];
  if (aws.zones && aws.zones.join(", ") !== there) {
    faults.push({
      setting: "aws.zones",
      problem: `is ${aws.zones.join(", ")}, and the subnets of adopt.base lie in ${there}`,
      remedy: "Leave it out: the zones are those of the subnets",
    });
  }
  if (network.zones !== undefined && network.zones !== zoneIds.length) {
    faults.push({
      setting: "network.zones",
      problem: `is ${network.zones}, and the subnets of adopt.base lie in ${zoneIds.length} (${there})`,
      remedy: "Leave it out: the zones are those of the subnets",
    });
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return { ...settings, aws: { ...aws, zones: [...zoneIds] } };
}

/** What a person should know of zones that are more than the preset has. */
export function zoneNotes(planned: number, zones: number, { zones: stood }: Recorded): string[] {
  if (!stood || stood.length !== zones || planned >= zones) return [];
  return [
    `network: stays in ${zones} zones, where the preset has ${planned}: a zone is never taken back, with what stands in it`,
  ];
}
