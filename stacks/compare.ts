import type { PriceRegion } from "../components/cost.ts";
import { planStack, type StackPlan } from "./plan.ts";
import { PRESETS } from "./preset-table.ts";
import { settingsSchema } from "./settings-schema.ts";

export interface CompareOptions {
  /** Region of AWS's prices. */
  readonly region: PriceRegion;
  /** What one of the person's own hosts costs a month, US dollars; its rows have no sum without it. */
  readonly hostMonthlyUsd: number | undefined;
}

/** What the plan on AWS must be told and a comparison does not depend on. */
const ANYWHERE = {
  domain: "fleet.example.com",
  environment: "prod",
} as const;

const ADMIN = "arn:aws:iam::123456789012:role/deploy";

/** Every preset on every target of machines of its own, cheapest kind first. */
export function comparedPlans({ region, hostMonthlyUsd }: CompareOptions): StackPlan[] {
  const aws = { region, accountId: "123456789012" };
  const targets = [
    { target: "hosts", sizes: hostMonthlyUsd === undefined ? {} : { hostMonthlyUsd } },
    { target: "ec2", aws },
    { target: "eks", aws, cluster: { access: "private", admins: [ADMIN] } },
  ];
  return PRESETS.flatMap(({ name }) =>
    targets.map((target) =>
      planStack("compare", settingsSchema.parse({ ...ANYWHERE, ...target, preset: name })),
    ),
  );
}
