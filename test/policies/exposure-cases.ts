import * as rules from "../../policies/exposure.ts";
import { TYPE } from "../../policies/resources.ts";
import type { ResourceCase, StackCase } from "./cases.ts";
import { changed, later, type Made, stackOf, withValue } from "./support.ts";

export const ec2 = () => stackOf("ec2", "medium");

export const eks = () => stackOf("eks", "medium");

/** The same rule, as if the component of that type had made it. */
export const madeBy = (made: Made, component: string): Made => ({
  ...made,
  urn: made.urn.replace(/openclaw-fleet:[\w:$-]*\$aws/, `${component}$aws`),
});

/** Cases of single resources. */
export const RESOURCES: readonly ResourceCase[] = [
  {
    policy: rules.openIngress,
    of: "the edge's own rule",
    made: later(ec2, TYPE.ingress, "https-from-0-0-0-0-0"),
    breaks: [
      ["toPort", 8080, "tcp ports 443 to 8080 from 0.0.0.0/0"],
      ["ipProtocol", "-1", "every protocol and port from 0.0.0.0/0"],
      ["ipProtocol", "udp", "udp port 443 from 0.0.0.0/0"],
    ],
    unknown: [
      ["cidrIpv4", "refused"],
      ["fromPort", "refused"],
    ],
  },
  {
    policy: rules.openIngress,
    of: "a store's rule",
    made: later(ec2, TYPE.ingress, "cache-access-from-hosts"),
    breaks: [
      ["cidrIpv4", "0.0.0.0/0", "tcp port 6379 from 0.0.0.0/0"],
      ["cidrIpv6", "::/0", "from ::/0"],
      ["cidrIpv4", "0.0.0.0/1", "from 0.0.0.0/1"],
    ],
    unknown: [["referencedSecurityGroupId", "passes"]],
  },
  {
    policy: rules.openIngress,
    of: "rules within a group",
    made: later(ec2, TYPE.securityGroup, "hosts-sg"),
    breaks: [
      [
        "ingress",
        [{ protocol: "tcp", fromPort: 5432, toPort: 5432, cidrBlocks: ["0.0.0.0/0"] }],
        "port 5432 from 0.0.0.0/0",
      ],
      [
        "ingress",
        [{ protocol: "-1", fromPort: 0, toPort: 0, ipv6CidrBlocks: ["::/0"] }],
        "from ::/0",
      ],
    ],
    unknown: [["ingress", "refused"]],
  },
  {
    policy: rules.publicSsh,
    made: later(ec2, TYPE.ingress, "hosts-from-hosts"),
    breaks: [
      ["cidrIpv4", "203.0.113.0/24", "ports 0 to 65535 from 203.0.113.0/24, SSH's port 22"],
      ["cidrIpv6", "2001:db8::/32", "from 2001:db8::/32"],
    ],
    unknown: [["cidrIpv4", "refused"]],
  },
  {
    policy: rules.publicStore,
    made: later(ec2, TYPE.database),
    breaks: [["publiclyAccessible", true, "publiclyAccessible is true"]],
    unknown: [["publiclyAccessible", "refused"]],
  },
  {
    policy: rules.publicAddresses,
    of: "a subnet",
    made: later(ec2, TYPE.subnet, "public-eu-central-1a"),
    breaks: [["mapPublicIpOnLaunch", true, "mapPublicIpOnLaunch is true"]],
    unknown: [["mapPublicIpOnLaunch", "refused"]],
  },
  {
    policy: rules.publicAddresses,
    of: "nodes of a pool",
    made: later(eks, TYPE.nodeClass),
    breaks: [["spec.associatePublicIPAddress", true, "associatePublicIPAddress is true"]],
    unknown: [["spec.associatePublicIPAddress", "refused"]],
  },
  {
    policy: rules.publicAddresses,
    of: "system nodes",
    made: later(eks, TYPE.launchTemplate),
    breaks: [
      [
        "networkInterfaces",
        [{ associatePublicIpAddress: "true" }],
        "associatePublicIpAddress is true",
      ],
    ],
    unknown: [["networkInterfaces", "refused"]],
  },
  {
    policy: rules.clusterEndpoint,
    made: later(eks, TYPE.cluster),
    breaks: [
      ["vpcConfig.endpointPublicAccess", true, "publicAccessCidrs is not set"],
      ["vpcConfig.endpointPublicAccess", undefined, "publicAccessCidrs is not set"],
    ],
    unknown: [["vpcConfig.endpointPublicAccess", "refused"]],
  },
  {
    policy: rules.publicBucket,
    of: "a block",
    made: later(ec2, "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"),
    breaks: [
      ["blockPublicPolicy", false, "blockPublicPolicy is false"],
      ["restrictPublicBuckets", undefined, "restrictPublicBuckets is not set"],
    ],
    unknown: [["blockPublicAcls", "refused"]],
  },
  {
    policy: rules.publicBucket,
    of: "a policy",
    made: later(ec2, TYPE.bucketPolicy),
    breaks: [
      [
        "policy",
        JSON.stringify({
          Statement: [{ Effect: "Allow", Principal: "*", Action: "s3:GetObject" }],
        }),
        "policy is",
      ],
      [
        "policy",
        JSON.stringify({
          Statement: [{ Effect: "Allow", Principal: { AWS: "*" }, Action: "s3:*" }],
        }),
        "policy is",
      ],
    ],
    unknown: [["policy", "waits"]],
  },
  {
    policy: rules.serviceWayIn,
    made: later(eks, "kubernetes:core/v1:Service"),
    breaks: [
      ["spec.type", "LoadBalancer", "spec.type is LoadBalancer"],
      ["spec.externalIPs", ["203.0.113.9"], "externalIPs"],
    ],
    unknown: [["spec.type", "refused"]],
  },
];

export const openTo = (end: string, range: string) => (made: readonly Made[]) =>
  changed(
    made,
    (r) => r.type === TYPE.ingress && r.name.endsWith(end),
    (r) => withValue(withValue(r, "referencedSecurityGroupId", undefined), "cidrIpv4", range),
  );

/** Cases of whole stacks. */
export const STACKS: readonly StackCase[] = [
  {
    policy: rules.storeByAddress,
    made: ec2,
    previewed: () => stackOf("ec2", "medium", {}, true),
    breaks: ["cache", "database", "files"].map((store) => ({
      what: `${store} open to a range`,
      change: openTo(`${store}-access-from-hosts`, "10.0.0.0/8"),
      found: /from 10\.0\.0\.0\/8 into team-/,
      at: `team-compute-${store}-access-from-hosts`.replace("team-compute-", ""),
    })),
  },
  {
    policy: rules.hostByAddress,
    made: ec2,
    previewed: () => stackOf("ec2", "medium", {}, true),
    breaks: [
      {
        what: "hosts open to a range",
        change: openTo("hosts-from-edge", "203.0.113.0/24"),
        found: /from 203\.0\.113\.0\/24 to team-hosts-/,
        at: "team-hosts-from-edge",
      },
    ],
  },
  {
    policy: rules.storeSubnets,
    made: ec2,
    previewed: () => stackOf("ec2", "medium", {}, true),
    breaks: [
      {
        what: "a database in public subnets",
        change: (made) => {
          const open = made.filter((r) => r.type === TYPE.subnet && r.name.includes("-public-"));
          return changed(
            made,
            (r) => r.type === "aws:rds/subnetGroup:SubnetGroup",
            (r) => ({ ...r, from: { subnetIds: open.map(({ urn }) => urn) } }),
          );
        },
        found: /public-eu-central-1a has a route to an internet gateway/,
        at: "team-database-subnets",
      },
    ],
  },
  {
    policy: rules.bucketClosed,
    made: ec2,
    previewed: () => stackOf("ec2", "medium", {}, true),
    breaks: [
      {
        what: "a bucket without a block",
        change: (made) =>
          changed(
            made,
            (r) => r.name === "team-buckets-replicas-closed",
            () => null,
          ),
        found: "no BucketPublicAccessBlock",
        at: "team-buckets-replicas",
      },
    ],
  },
  {
    policy: rules.closedPaths,
    made: ec2,
    previewed: () => stackOf("ec2", "medium", {}, true),
    breaks: [
      {
        what: "a balancer without the rule",
        change: (made) =>
          changed(
            made,
            (r) => r.type === TYPE.listenerRule,
            () => null,
          ),
        found: "nothing closes /metrics, /api/v1/metrics, /internal/*",
        at: "team-edge-https",
      },
      {
        what: "a rule that forgets a path",
        change: (made) =>
          changed(
            made,
            (r) => r.type === TYPE.listenerRule,
            (r) =>
              withValue(r, "conditions", [
                { pathPattern: { values: ["/metrics", "/internal/*"] } },
              ]),
          ),
        found: "nothing closes /api/v1/metrics",
      },
    ],
  },
];
