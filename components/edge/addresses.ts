import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { DNS_CHECK } from "./catalog.ts";
import { inZone } from "./certificate.ts";
import type { EdgeArgs } from "./index.ts";
import { oneOfSeveral, slug } from "./names.ts";

/** A fixed public address that waits for its host. */
export interface FixedAddress {
  readonly allocationId: pulumi.Output<string>;
  readonly publicIp: pulumi.Output<string>;
}

/**
 * One fixed address for each host that clients reach directly, and the names that lead to them: with
 * several hosts one record each, which leaves DNS while its host does not answer.
 */
export function addresses(
  name: string,
  args: EdgeArgs,
  parent: pulumi.Resource,
): Record<string, FixedAddress> {
  const { plan, context } = args;
  const named = (role: string) => ({ ...context.tags, Name: `${name}-${role}` });
  // AWS wants the internet gateway before an address; a public subnet's id is known once that is there.
  const domain = pulumi.all([...args.publicSubnetIds]).apply(() => "vpc");
  const made: Record<string, FixedAddress> = {};
  for (const node of plan.addressOf) {
    const eip = new aws.ec2.Eip(
      `${name}-address-${node}`,
      { domain, tags: named(`address-${node}`) },
      { parent },
    );
    made[node] = { allocationId: eip.allocationId, publicIp: eip.publicIp };
    if (plan.domain === null) continue;
    const check =
      plan.front === "dns"
        ? new aws.route53.HealthCheck(
            `${name}-check-${node}`,
            {
              type: "HTTPS",
              ipAddress: eip.publicIp,
              port: 443,
              fqdn: plan.domain,
              enableSni: true,
              resourcePath: plan.probe.path,
              requestInterval: DNS_CHECK.intervalSeconds,
              failureThreshold: DNS_CHECK.failures,
              tags: named(`check-${node}`),
            },
            { parent },
          )
        : null;
    for (const each of plan.names) {
      new aws.route53.Record(
        `${name}-a-${slug(each)}-${node}`,
        {
          zoneId: args.zoneId as pulumi.Input<string>,
          name: each,
          type: "A",
          ttl: DNS_CHECK.ttlSeconds,
          records: [eip.publicIp],
          ...oneOfSeveral(node),
          ...(check ? { healthCheckId: check.id } : {}),
        },
        inZone(parent, args.zoneProvider),
      );
    }
  }
  return made;
}
