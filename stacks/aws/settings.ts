import { z } from "zod";

/** Names of the layers, in the order in which they are made. */
export const LAYERS = ["base", "data", "compute", "fleet"] as const;
export type Layer = (typeof LAYERS)[number];

const arn = (what: string) =>
  z.string().regex(/^arn:[\w-]+:iam::\d{12}:\S+$/, `the ARN of ${what}`);

/** Where on AWS, and as whom. */
export const awsSettings = z.strictObject({
  region: z
    .string()
    .regex(/^[a-z]{2}(-[a-z]+)+-\d$/, "a region, e.g. eu-central-1")
    .describe("Region of everything, e.g. eu-central-1. A change makes everything anew."),
  accountId: z
    .string()
    .regex(/^\d{12}$/, "the twelve digits of an account, in quotes")
    .describe("Account that may be changed; every other one is refused. Twelve digits, in quotes."),
  zones: z
    .array(z.string().regex(/^[a-z0-9]+-az\d+$/, "an id of a zone, e.g. euc1-az2"))
    .min(2)
    .max(3)
    .optional()
    .describe(
      "Ids of the availability zones, two or three. Chosen and printed by the first preview when left out; write them down, so that a new zone of the region changes nothing.",
    ),
  assumeRoleArn: arn("a role")
    .optional()
    .describe("Role that Pulumi takes on in the account; your own identity when left out."),
  permissionsBoundaryArn: arn("a policy")
    .optional()
    .describe("Permissions boundary of every role that is made."),
  rolePath: z
    .string()
    .regex(/^\/([\w+=,.@-]+\/)*$/, "a path that begins and ends with /")
    .default("/")
    .describe("Path of every role that is made."),
});

export type AwsSettings = z.output<typeof awsSettings>;

/** One layer that exists already: what it would export, written out, or the stack that exports it. */
const adopted = z
  .union([
    z.strictObject({
      fromStack: z
        .string()
        .regex(/^[^/\s]+\/[^/\s]+\/[^/\s]+$/, "organization/project/stack")
        .describe("Stack that made the layer, as organization/project/stack."),
    }),
    z.record(z.string(), z.unknown()),
  ])
  .optional();

/** Layers that this stack takes over instead of making them. */
export const adoptSettings = z.strictObject({
  base: adopted.describe("Network, keys and zone of another stack, or their ids."),
  data: adopted.describe("Cache, database, files and buckets of another stack, or their ids."),
  compute: adopted.describe("Cluster or hosts of another stack, or their ids."),
});
export type AdoptSettings = z.output<typeof adoptSettings>;

export const layersSetting = z
  .array(z.enum(LAYERS))
  .min(1)
  .default([...LAYERS])
  .describe(
    "Layers that this stack makes, of base, data, compute and fleet; the ones before must be adopted from another stack.",
  );
