import { monthlyUsd, type Tier } from "../../components/cost.ts";
import type { AgentPlace } from "../placement.ts";
import { type FleetPlan, planFleet } from "../presets.ts";
import type { Settings } from "../settings.ts";
import { AWS_SHAPES, type AwsShape, type AwsTarget } from "./table.ts";

/** Settings of a stack on AWS. */
export type AwsStackSettings = Settings & { readonly target: AwsTarget };

/** What the components of a stack on AWS are told. */
export interface AwsPlan {
  readonly fleet: FleetPlan;
  readonly shape: AwsShape;
  readonly tiers: readonly Tier[];
  /** Null: the price tables do not cover the region. */
  readonly cost: { readonly monthlyUsd: number; readonly basis: string } | null;
  readonly notes: readonly string[];
}

export const isAwsTarget = (target: string): target is AwsTarget =>
  Object.hasOwn(AWS_SHAPES, target);

export function planAws(
  settings: AwsStackSettings,
  recorded: Readonly<Record<string, AgentPlace>>,
): AwsPlan {
  const first = planFleet(settings, recorded);
  const shape = AWS_SHAPES[settings.target][first.preset];
  const fleet = shape.survivesZone
    ? planFleet({ ...settings, zones: shape.zones }, recorded)
    : first;
  const tiers: Tier[] = [];
  return {
    fleet,
    shape,
    tiers,
    cost: { monthlyUsd: monthlyUsd(tiers.flatMap((t) => t.costs)), basis: "" },
    notes: [],
  };
}
