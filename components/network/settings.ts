import { z } from "zod";
import { DEFAULT_CIDR, ENDPOINT_NAMES } from "./catalog.ts";

/** Ways out of private subnets. */
export const NAT_MODES = ["none", "one", "per_zone", "regional"] as const;
export type NatMode = (typeof NAT_MODES)[number];

const cidr = () => z.string().regex(/^[\d.]+\/\d{1,2}$/, "a range, e.g. 10.64.0.0/16");
const subnets = (what: string) =>
  z
    .array(z.string().regex(/^subnet-([0-9a-f]{8}|[0-9a-f]{17})$/, "the id of a subnet"))
    .min(2)
    .max(3)
    .describe(`Ids of the ${what}, one a zone, two or three.`);

/** Settings that make a network, and mean nothing for one that exists. */
const OF_OUR_OWN = ["cidr", "zones", "natGateways", "interfaceEndpoints", "flowLogs"] as const;

export const networkSettings = z
  .strictObject({
    cidr: cidr()
      .optional()
      .describe(
        `Range of the network, between /16 and /23. ${DEFAULT_CIDR} when left out. A change makes everything anew.`,
      ),
    zones: z
      .union([z.literal(2), z.literal(3)])
      .optional()
      .describe(
        "Availability zones, 2 or 3; as the preset says when left out. A third one can be added later: no subnet moves, nothing that holds data is replaced. None is taken back.",
      ),
    natGateways: z
      .enum(NAT_MODES)
      .optional()
      .describe(
        "Way from private subnets to the internet: none, one (its zone's loss stops it), per_zone, or regional (one gateway in all zones). As the preset says when left out. A change interrupts open connections.",
      ),
    interfaceEndpoints: z
      .array(z.enum(ENDPOINT_NAMES))
      .optional()
      .describe(
        "AWS services reached without NAT through endpoints in the private subnets; each costs by the hour and zone. As the preset says when left out; S3 always has its free one.",
      ),
    flowLogs: z
      .boolean()
      .optional()
      .describe(
        "Records of all connections, kept as long as other logs; as the preset says when left out.",
      ),
    otherCidrs: z
      .array(cidr())
      .default([])
      .describe("Ranges that this network must not overlap: peered networks, offices, VPNs."),
    adopt: z
      .strictObject({
        vpcId: z
          .string()
          .regex(/^vpc-([0-9a-f]{8}|[0-9a-f]{17})$/, "the id of a VPC")
          .describe("Id of the VPC."),
        publicSubnetIds: subnets("subnets with a route to an internet gateway, for the balancer"),
        privateSubnetIds: subnets("subnets with a way out, for machines"),
        dataSubnetIds: subnets("subnets for cache, database and files"),
      })
      .optional()
      .describe(
        "A VPC that exists and is used as it is: nothing in it is changed, no gateway, route or endpoint is added.",
      ),
  })
  .superRefine((settings, ctx) => {
    if (!settings.adopt) return;
    for (const name of OF_OUR_OWN.filter((name) => settings[name] !== undefined)) {
      ctx.addIssue({
        code: "custom",
        path: [name],
        message: "belongs to a network that is made here, and network.adopt takes one as it is",
      });
    }
  });

export type NetworkSettings = z.output<typeof networkSettings>;
