import { valuesAt } from "../world.ts";
import { need } from "./parts.ts";
import type { Need } from "./types.ts";

const SUBNET = "aws:ec2/subnet:Subnet";

/** Subnets of a group lie in at least two zones, as RDS and Multi-AZ demand. */
export function twoZones(path = "subnetIds[]"): Need {
  return need("its subnets are in two zones or more", (row, world) => {
    const zones = valuesAt(row.inputs, path).map((id) => {
      const subnet = world.find(SUBNET, "id", id);
      return subnet?.state.availabilityZone ?? subnet?.state.availabilityZoneId;
    });
    return new Set(zones).size >= 2 ? null : "its subnets are in fewer than two zones";
  });
}

/** `valkey9` fits `9.0`, `postgres18` fits `18.1`. */
export function familyFits(family: unknown, engine: unknown, version: unknown): boolean {
  const [, name, major] = /^([a-z-]+)(\d+)/.exec(String(family)) ?? [];
  return name === engine && String(version).split(".")[0] === major;
}
