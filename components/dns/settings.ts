import { z } from "zod";

export const dnsSettings = z.strictObject({
  zoneId: z
    .string()
    .regex(/^Z[A-Z0-9]{1,31}$/, "the id of a hosted zone, e.g. Z0123456789ABCDEFGHIJ")
    .optional()
    .describe("Id of the public Route 53 zone that domain is in. Found by zoneName when left out."),
  zoneName: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Name of that zone, e.g. example.com. domain without its first part when left out. The zone must exist: none is ever created.",
    ),
  roleArn: z
    .string()
    .regex(/^arn:[\w-]+:iam::\d{12}:role\/\S+$/, "the ARN of a role")
    .optional()
    .describe("Role to take on for the zone's records, when the zone is another account's."),
  externalId: z
    .string()
    .regex(/^[\w+=,.@:/-]{2,1224}$/, "2 to 1224 letters, digits and +=,.@:/-")
    .optional()
    .describe("External id that this role asks for."),
  checkDelegation: z
    .boolean()
    .default(true)
    .describe(
      "Ask the world's name servers for the zone before anything is made. false only where they cannot be asked from here.",
    ),
});

export type DnsSettings = z.output<typeof dnsSettings>;
