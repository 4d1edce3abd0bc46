import fc from "fast-check";
import { PRICE_REGIONS } from "../../../components/cost.ts";
import { ConfigError } from "../../../components/errors.ts";
import { type AwsPlan, type AwsStackSettings, planAws } from "../../../stacks/aws/plan.ts";
import { PRESETS } from "../../../stacks/preset-table.ts";
import { settingsSchema } from "../../../stacks/settings-schema.ts";

/** Settings of a stack on AWS, with what every one of them must say. */
export const awsSettings = (more: object): AwsStackSettings =>
  settingsSchema.parse({
    domain: "fleet.example.com",
    aws: { region: "us-east-1", accountId: "123456789012" },
    cluster: { access: "private", admins: ["arn:aws:iam::123456789012:role/deploy"] },
    ...more,
  }) as AwsStackSettings;

export const planOf = (more: object): AwsPlan => planAws("team", awsSettings(more));

export const targets = fc.constantFrom("ec2" as const, "eks" as const);
export const regions = fc.constantFrom(...PRICE_REGIONS);

const agent = fc.record({
  placement: fc.constantFrom("shared", "dedicated"),
  memoryMiB: fc.integer({ min: 10, max: 600 }),
});

/** Settings of which every one changes a plan; some of them cannot be. */
export const stacks = fc
  .record({
    target: targets,
    environment: fc.constantFrom("prod", "staging", "dev"),
    region: regions,
    size: fc.oneof(
      fc.constantFrom(...PRESETS).map(({ name }) => ({ preset: name })),
      fc.integer({ min: 1, max: 24_000 }).map((users) => ({ users })),
    ),
    agents: fc.array(agent, { maxLength: 6 }),
    zones: fc.constantFrom(undefined, 2, 3),
    cidr: fc.constantFrom(undefined, "10.0.0.0/16", "192.168.0.0/18", "10.200.64.0/20"),
    nat: fc.constantFrom(undefined, "none", "one", "per_zone", "regional"),
    architecture: fc.constantFrom("arm64", "x86_64"),
    gpu: fc.boolean(),
  })
  .map(({ region, size, agents, zones, cidr, nat, architecture, gpu, ...rest }) => ({
    ...rest,
    ...size,
    aws: { region, accountId: "123456789012" },
    agents: agents.map((each, i) => ({ name: `agent-${i}`, ...each })),
    network: {
      ...(zones === undefined ? {} : { zones }),
      ...(cidr === undefined ? {} : { cidr }),
      ...(nat === undefined ? {} : { natGateways: nat }),
    },
    ec2: { architecture },
    cluster: {
      access: "private",
      admins: ["arn:aws:iam::123456789012:role/deploy"],
      architecture,
    },
    ...(gpu && rest.target === "eks" ? { gpu: { limit: 2 } } : {}),
  }));

/** The plan, or null where the settings are refused with what is wrong and what to do. */
export function planIfPossible(settings: object): AwsPlan | null {
  try {
    return planOf(settings);
  } catch (error) {
    if (error instanceof ConfigError) return null;
    throw error;
  }
}
