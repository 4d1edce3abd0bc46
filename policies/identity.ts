import { NODE_POLICIES } from "./catalog.ts";
import { atLeast, is, refuseUnless, waitUnless } from "./judge.ts";
import { factsOf, type Policy } from "./policy.ts";
import { at, items, json, read, shown, UNKNOWN } from "./read.ts";
import { allOf, fieldsOf, from, TYPE } from "./resources.ts";

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [value]);

/** An action that takes in more than one call, reading apart. */
function isBroad(action: unknown): boolean {
  if (action === "*") return true;
  const [, call = ""] = `${action}`.split(":");
  return call.includes("*") && !/^(Describe|List|Get)/.test(call);
}

/** Statements that allow broad actions on everything, as a person reads them. */
export function broadStatements(policy: unknown): string[] {
  return list(at(json(policy), "Statement")).flatMap((statement) => {
    if (at(statement, "Effect") !== "Allow") return [];
    if (
      !list(at(statement, "Resource")).includes("*") &&
      at(statement, "NotResource") === undefined
    )
      return [];
    const broad = list(at(statement, "Action")).filter(isBroad);
    if (at(statement, "NotAction") !== undefined)
      return ["everything but some actions, on everything"];
    return broad.length > 0 ? [`${broad.join(", ")} on everything`] : [];
  });
}

/** Managed policies that give a whole account away. */
const ALL_POWERFUL =
  /:aws:policy\/(AdministratorAccess|PowerUserAccess|IAMFullAccess|AmazonS3FullAccess|AmazonEC2FullAccess)$/;

export const wildcards: Policy = {
  id: "identity-wildcards",
  sentence: "No role may do a whole family of things to everything.",
  severity: "mandatory",
  setting: "",
  fix: "name the calls and the resources; reading calls (Describe, List, Get) may stand for all",
  unknown: "A policy that is not known waits for up, where it is judged before it is set.",
  validateResource(args, report) {
    const { type, props } = args;
    const fields = read(props);
    const judge = (what: string, policy: unknown) => {
      if (policy === UNKNOWN) return factsOf(args).waits(what);
      for (const found of broadStatements(policy)) report(found);
    };
    if (type === TYPE.rolePolicy || type === "aws:iam/policy:Policy")
      judge("policy", at(fields, "policy"));
    if (type === TYPE.role) {
      for (const inline of items(at(fields, "inlinePolicies")))
        judge("inlinePolicies", at(inline, "policy"));
      for (const arn of items(at(fields, "managedPolicyArns")))
        if (ALL_POWERFUL.test(`${String(arn)}`)) report(shown(arn));
    }
    if (type === "aws:iam/rolePolicyAttachment:RolePolicyAttachment")
      waitUnless(
        args,
        report,
        "policyArn",
        at(fields, "policyArn"),
        (arn) => !ALL_POWERFUL.test(`${arn}`),
      );
  },
};

export const noUsers: Policy = {
  id: "identity-no-users",
  sentence: "Nobody has a long-lived key: there are roles, and no IAM users.",
  severity: "mandatory",
  setting: "",
  fix: "use a role; people come by their own identity, programs by Pod Identity or an instance profile",
  unknown: "The type alone decides.",
  validateResource({ type }, report) {
    if (
      /^aws:iam\/(user|accessKey|group|serviceSpecificCredential|sshKey)/.test(type) ||
      type === "aws:ec2/keyPair:KeyPair"
    )
      report(`a ${type.split(":").at(-1)}`);
  },
};

export const instanceMetadata: Policy = {
  id: "identity-instance-metadata",
  sentence: "Instance metadata answers by token only, and no further than the machine itself.",
  severity: "mandatory",
  setting: "",
  fix: "set httpTokens required and httpPutResponseHopLimit 1",
  unknown: "Refused: nothing generates these.",
  validateResource({ type, props }, report) {
    const fields = read(props);
    const path = { [TYPE.instance]: [], [TYPE.launchTemplate]: [], [TYPE.nodeClass]: ["spec"] }[
      type
    ];
    if (path === undefined) return;
    const options = at(fields, ...path, "metadataOptions");
    if (at(options, "httpEndpoint") === "disabled") return;
    refuseUnless(report, "httpTokens", at(options, "httpTokens"), is("required"));
    refuseUnless(report, "httpPutResponseHopLimit", at(options, "httpPutResponseHopLimit"), is(1));
  },
};

export const nodeCredentials: Policy = {
  id: "identity-node-credentials",
  sentence:
    "Cluster nodes may join, pull images and be managed; what pods need they get by Pod Identity.",
  severity: "blocking",
  setting: "",
  fix: "give the right to a role of the pod's service account, with a PodIdentityAssociation",
  unknown:
    "Roles are followed by what properties came from; a managed policy whose ARN is not known waits for up.",
  validateStack(args, report) {
    const { resources } = args;
    const nodes = new Set(
      [
        ...allOf(resources, TYPE.nodeGroup).flatMap((group) => from(group, "nodeRoleArn")),
        ...allOf(resources, "aws:eks/accessEntry:AccessEntry")
          .filter((entry) => /^EC2/.test(`${String(at(fieldsOf(entry), "type"))}`))
          .flatMap((entry) => from(entry, "principalArn")),
      ].map(({ urn }) => urn),
    );
    const ofNodes = (resource: (typeof resources)[number]) =>
      from(resource, "role").some(({ urn }) => nodes.has(urn));
    for (const policy of allOf(resources, TYPE.rolePolicy).filter(ofNodes))
      report("a policy of its own on the nodes' role", policy.urn);
    for (const one of allOf(resources, "aws:iam/rolePolicyAttachment:RolePolicyAttachment").filter(
      ofNodes,
    )) {
      const arn = at(fieldsOf(one), "policyArn");
      if (arn === UNKNOWN) factsOf(args).waits("policyArn");
      else if (!NODE_POLICIES.includes(`${String(arn).split("/").at(-1)}`))
        report(`${shown(arn)} on the nodes' role`, one.urn);
    }
  },
};

export const boundary: Policy = {
  id: "identity-permissions-boundary",
  sentence: "Where the stack names a permissions boundary, every role stands within it.",
  severity: "mandatory",
  setting: "aws.permissionsBoundaryArn",
  fix: "give the role the boundary of the stack",
  unknown: "Refused: the boundary is a setting, and so is known.",
  validateResource(args, report) {
    const wanted = factsOf(args).permissionsBoundaryArn;
    if (args.type !== TYPE.role || wanted === undefined) return;
    refuseUnless(
      report,
      "permissionsBoundary",
      at(read(args.props), "permissionsBoundary"),
      is(wanted),
    );
  },
};

export const clusterAccess: Policy = {
  id: "identity-cluster-access",
  sentence: "Who may enter the cluster stands in access entries alone, its creator among them.",
  severity: "blocking",
  setting: "cluster.admins",
  fix: "set authenticationMode API and bootstrapClusterCreatorAdminPermissions false",
  unknown: "Refused: nothing generates these.",
  validateResource({ type, props }, report) {
    if (type !== TYPE.cluster) return;
    const access = at(read(props), "accessConfig");
    refuseUnless(report, "authenticationMode", at(access, "authenticationMode"), is("API"));
    const creator = at(access, "bootstrapClusterCreatorAdminPermissions");
    refuseUnless(report, "bootstrapClusterCreatorAdminPermissions", creator, is(false));
  },
};

export const keyRotation: Policy = {
  id: "identity-key-deletion",
  sentence: "Keys turn every year, and can be had back for a week at least.",
  severity: "blocking",
  setting: "environment",
  fix: "set enableKeyRotation and a deletionWindowInDays of 7 or more",
  unknown: "Refused: nothing generates these.",
  validateResource({ type, props }, report) {
    if (type !== "aws:kms/key:Key") return;
    const fields = read(props);
    refuseUnless(report, "enableKeyRotation", at(fields, "enableKeyRotation"), is(true));
    refuseUnless(report, "deletionWindowInDays", at(fields, "deletionWindowInDays"), atLeast(7));
  },
};

export const IDENTITY: readonly Policy[] = [
  wildcards,
  noUsers,
  instanceMetadata,
  nodeCredentials,
  boundary,
  clusterAccess,
  keyRotation,
];
