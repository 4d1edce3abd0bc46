import * as rules from "../../policies/identity.ts";
import { TYPE } from "../../policies/resources.ts";
import type { ResourceCase, StackCase } from "./cases.ts";
import { changed, later, type Made, pick, stackOf, withValue } from "./support.ts";

export const ec2 = () => stackOf("ec2", "medium");

export const eks = () => stackOf("eks", "medium");

export const ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment";

export const allow = (Action: unknown, Resource: unknown = "*") =>
  JSON.stringify({ Statement: [{ Effect: "Allow", Action, Resource }] });

/** Cases of single resources. */
export const RESOURCES: readonly ResourceCase[] = [
  {
    policy: rules.wildcards,
    of: "a role's own policy",
    made: later(ec2, TYPE.rolePolicy, "may-be-managed"),
    breaks: [
      ["policy", allow("*"), "* on everything"],
      ["policy", allow(["s3:GetObject", "ec2:*"]), /^ec2:\* on everything$/],
      ["policy", allow("iam:Pass*", ["*"]), "iam:Pass* on everything"],
      [
        "policy",
        JSON.stringify({ Statement: { Effect: "Allow", NotAction: "iam:*", Resource: "*" } }),
        "everything but some actions",
      ],
    ],
    unknown: [["policy", "waits"]],
  },
  {
    policy: rules.wildcards,
    of: "policies within a role",
    made: later(ec2, TYPE.role),
    breaks: [
      ["inlinePolicies", [{ name: "all", policy: allow("*") }], "on everything"],
      ["managedPolicyArns", ["arn:aws:iam::aws:policy/AdministratorAccess"], "AdministratorAccess"],
    ],
    unknown: [["inlinePolicies", "waits"]],
  },
  {
    policy: rules.wildcards,
    of: "a managed policy",
    made: later(eks, ATTACHMENT),
    breaks: [["policyArn", "arn:aws-cn:iam::aws:policy/PowerUserAccess", "PowerUserAccess"]],
    unknown: [["policyArn", "waits"]],
  },
  {
    policy: rules.instanceMetadata,
    of: "a host",
    made: later(ec2, TYPE.instance),
    breaks: [
      ["metadataOptions.httpTokens", "optional", "httpTokens is optional"],
      ["metadataOptions.httpPutResponseHopLimit", 2, "httpPutResponseHopLimit is 2"],
      ["metadataOptions", undefined, "httpTokens is not set"],
    ],
    unknown: [["metadataOptions.httpTokens", "refused"]],
  },
  {
    policy: rules.instanceMetadata,
    of: "system nodes",
    made: later(eks, TYPE.launchTemplate),
    breaks: [["metadataOptions.httpPutResponseHopLimit", 2, "httpPutResponseHopLimit is 2"]],
    unknown: [["metadataOptions", "refused"]],
  },
  {
    policy: rules.instanceMetadata,
    of: "nodes of a pool",
    made: later(eks, TYPE.nodeClass),
    breaks: [["spec.metadataOptions.httpTokens", "optional", "httpTokens is optional"]],
    unknown: [["spec.metadataOptions.httpPutResponseHopLimit", "refused"]],
  },
  {
    policy: rules.boundary,
    made: later(ec2, TYPE.role),
    breaks: [
      ["permissionsBoundary", undefined, "permissionsBoundary is not set"],
      ["permissionsBoundary", "arn:aws:iam::123456789012:policy/other", "policy/other"],
    ],
    unknown: [["permissionsBoundary", "refused"]],
  },
  {
    policy: rules.clusterAccess,
    made: later(eks, TYPE.cluster),
    breaks: [
      ["accessConfig.authenticationMode", "API_AND_CONFIG_MAP", "API_AND_CONFIG_MAP"],
      ["accessConfig.bootstrapClusterCreatorAdminPermissions", true, "is true"],
      ["accessConfig", undefined, "authenticationMode is not set"],
    ],
    unknown: [["accessConfig.authenticationMode", "refused"]],
  },
  {
    policy: rules.keyRotation,
    made: later(ec2, "aws:kms/key:Key"),
    breaks: [
      ["enableKeyRotation", false, "enableKeyRotation is false"],
      ["deletionWindowInDays", 3, "deletionWindowInDays is 3"],
    ],
    unknown: [["deletionWindowInDays", "refused"]],
  },
];

export const onNodes = (made: readonly Made[], end: string) =>
  changed(
    made,
    (r) => r.type === ATTACHMENT && r.name.endsWith(end),
    (r) => withValue(r, "policyArn", "arn:aws:iam::aws:policy/AmazonS3FullAccess"),
  );

/** Cases of whole stacks. */
export const STACKS: readonly StackCase[] = [
  {
    policy: rules.nodeCredentials,
    made: eks,
    previewed: () => stackOf("eks", "medium", {}, true),
    breaks: [
      {
        what: "another managed policy on system nodes",
        change: (made) => onNodes(made, "cluster-node-AmazonEKSWorkerNodePolicy"),
        found: /AmazonS3FullAccess on the nodes' role/,
        at: "team-cluster-node-AmazonEKSWorkerNodePolicy",
      },
      {
        what: "another managed policy on Karpenter's nodes",
        change: (made) => onNodes(made, "nodes-node-AmazonEKSWorkerNodePolicy"),
        found: /AmazonS3FullAccess on the nodes' role/,
      },
      {
        what: "a policy of its own on the nodes' role",
        change: (made) => {
          const attached = pick(made, ATTACHMENT, "cluster-node-AmazonEKSWorkerNodePolicy");
          const own = { ...attached, type: TYPE.rolePolicy, urn: `${attached.urn}-own` };
          return [...made, own];
        },
        found: "a policy of its own on the nodes' role",
      },
    ],
  },
];
