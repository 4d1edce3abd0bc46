import { z } from "zod";
import { WAF } from "./waf-catalog.ts";

const cidr = z.string().regex(/^[\da-fA-F:.]+\/\d{1,3}$/, "an address range, e.g. 203.0.113.0/24");

const rate = () => z.int().min(WAF.rateLimit.min).max(WAF.rateLimit.max).optional();

/** Settings of the way in (`edge`). */
export const edgeSettings = z.strictObject({
  front: z
    .enum(["alb", "dns", "address"])
    .optional()
    .describe(
      "alb: a load balancer. On target ec2 also dns: Nginx on every host behind health-checked DNS records, or address: one fixed address at the first host. As the preset says when left out; a change moves the public address.",
    ),
  publicTo: z
    .array(cidr)
    .min(1)
    .default(["0.0.0.0/0"])
    .describe(
      "IPv4 ranges that may connect, at most 30; the whole internet when left out. Changed while it runs.",
    ),
  alternativeNames: z
    .array(z.string())
    .default([])
    .describe(
      "Further names below domain that lead here and stand in the certificate, e.g. *.chat.example.com. A change makes a new certificate before the old one goes.",
    ),
  waf: z
    .boolean()
    .optional()
    .describe(
      "Web firewall before the load balancer: as the preset says when left out (from medium up).",
    ),
  blockHostingProviders: z
    .boolean()
    .default(false)
    .describe(
      "The firewall refuses clients in data centers, except on /channels and /hooks. Programs that use the API often run there.",
    ),
  requestsPerToken: rate().describe(
    "Requests one token may send in five minutes before it gets 429; from the fleet's own capacity when left out.",
  ),
  requestsPerAddress: rate().describe(
    "Requests one address may send in five minutes before it gets 429; from the fleet's own capacity when left out. Many people can share an address.",
  ),
});

export type EdgeSettings = z.output<typeof edgeSettings>;
