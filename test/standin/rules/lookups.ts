import { createHash } from "node:crypto";
import type { Props } from "../../../plugin/values.ts";
import type { Scope } from "../world.ts";
import { CLUSTER } from "./eks.ts";
import { ZONE } from "./names.ts";
import { partitionOf } from "./parts.ts";
import { TAGGING } from "./tagging.ts";
import { type Lookup, Refusal } from "./types.ts";

/** Letters and ids of a region's zones; us-east-1 has one in which EKS has no room. */
function zonesOf({ region }: Scope) {
  const prefix =
    { "us-east-1": "use1", "eu-central-1": "euc1", "eu-west-1": "euw1" }[region] ?? "xx1";
  const letters = region === "us-east-1" ? "abcdef" : "abc";
  return [...letters].map((letter, i) => ({
    name: `${region}${letter}`,
    id: `${prefix}-az${i + 1}`,
  }));
}

/** Instance types that a zone lacks, so that plans see one. */
const LACKING: Readonly<Record<string, RegExp>> = { "us-east-1e": /^(m7g|r7g|g6)\./ };

/** Quotas of a fresh account, by service and code. Source: AWS Service Quotas console, defaults. */
export const DEFAULT_QUOTAS: Readonly<Record<string, number>> = {
  "vpc L-F678F1CE": 5,
  "vpc L-A4707A72": 5,
  "vpc L-FE5A380F": 5,
  "vpc L-29B6F2EB": 50,
  "eks L-1194D53C": 100,
  "elasticloadbalancing L-53DA6B97": 50,
  "rds L-7B6409FD": 40,
  "ec2 L-0263D0A3": 5,
  "ec2 L-1216C47A": 32,
  "ec2 L-34B43A08": 32,
  "ec2 L-3819A6DF": 0,
  "ec2 L-DB2E81BA": 0,
};

const found = (id: string, value: Props): Props => ({ id, ...value });

/** What a program may ask for. Another question is refused by name. */
export const LOOKUPS: Readonly<Record<string, Lookup>> = {
  ...TAGGING,
  "aws:index/getPartition:getPartition": (_, __, { region }) => {
    const partition = partitionOf(region);
    return found(partition, {
      partition,
      dnsSuffix: "amazonaws.com",
      reverseDnsPrefix: "com.amazonaws",
    });
  },
  "aws:secretsmanager/getSecretVersion:getSecretVersion": ({ secretId }, world) => {
    const versions = world
      .of("aws:secretsmanager/secretVersion:SecretVersion")
      .filter(({ inputs }) => inputs.secretId === secretId);
    const newest = versions.sort((a, b) => b.turn - a.turn)[0];
    if (!newest) {
      throw new Refusal(
        `ResourceNotFoundException: Secrets Manager can't find the specified secret value for ${secretId}`,
      );
    }
    const { secretString, versionId } = newest.state;
    return found(newest.id, { arn: secretId, secretId, secretString, versionId });
  },
  // A role is seen by its session, as STS says it.
  "aws:index/getCallerIdentity:getCallerIdentity": (_, __, { account, caller }) =>
    found(account, {
      accountId: account,
      arn: caller
        .replace(":iam:", ":sts:")
        .replace(/:role\/(.*\/)?/, ":assumed-role/")
        .replace(/$/, "/run"),
      userId: "AROAEXAMPLE:run",
    }),
  "aws:iam/getSessionContext:getSessionContext": (args, _, { caller }) =>
    found(String(args.arn), {
      arn: args.arn,
      issuerArn: caller,
      issuerId: "AROAEXAMPLE",
      issuerName: caller.split("/").at(-1),
      sessionName: "run",
    }),
  "aws:iam/getPrincipalPolicySimulation:getPrincipalPolicySimulation": (args) =>
    found("-", {
      ...args,
      allAllowed: true,
      results: ((args.actionNames ?? []) as string[]).map((actionName) => ({
        actionName,
        allowed: true,
        decision: "allowed",
        decisionDetails: {},
        matchedStatements: [],
        missingContextKeys: [],
        resourceArn: "*",
      })),
    }),
  "aws:iam/getRoles:getRoles": (args, world, { account, region }) => {
    const made = world.of("aws:iam/role:Role", "aws:iam/serviceLinkedRole:ServiceLinkedRole");
    const names = [...(world.settings.serviceRoles ?? SERVICE_ROLES)];
    const path = String(args.pathPrefix ?? "/");
    const standing = names.map(([service, name]) => ({
      name,
      arn: `arn:${partitionOf(region)}:iam::${account}:role/aws-service-role/${service}/${name}`,
    }));
    const all = [
      ...standing,
      ...made.map((row) => ({ name: String(row.state.name), arn: String(row.state.arn) })),
    ].filter(({ name, arn }) => {
      return arn.includes(`:role${path}`) && new RegExp(String(args.nameRegex ?? "")).test(name);
    });
    return found(region, {
      ...args,
      names: all.map(({ name }) => name),
      arns: all.map(({ arn }) => arn),
    });
  },
  "aws:index/getRegion:getRegion": (_, __, { region }) =>
    found(region, {
      name: region,
      region,
      description: region,
      endpoint: `ec2.${region}.amazonaws.com`,
    }),
  "aws:index/getAvailabilityZones:getAvailabilityZones": (_, __, scope) => {
    const zones = zonesOf(scope);
    return found(scope.region, {
      names: zones.map(({ name }) => name),
      zoneIds: zones.map(({ id }) => id),
      groupNames: [scope.region],
      state: "available",
    });
  },
  "aws:index/getAvailabilityZone:getAvailabilityZone": (args, _, scope) => {
    const zone = zonesOf(scope).find(({ name, id }) => name === args.name || id === args.zoneId);
    if (!zone) throw new Refusal(`there is no zone ${args.name ?? args.zoneId} in ${scope.region}`);
    return found(zone.name, {
      name: zone.name,
      zoneId: zone.id,
      region: scope.region,
      state: "available",
    });
  },
  "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": (args, _, scope) => {
    const wanted = filterOf(args, "instance-type");
    const pairs = zonesOf(scope).flatMap((zone) =>
      wanted
        .filter((type) => !LACKING[zone.name]?.test(type))
        .map((type) => ({
          type,
          place: args.locationType === "availability-zone-id" ? zone.id : zone.name,
        })),
    );
    return found(scope.region, {
      ...args,
      instanceTypes: pairs.map(({ type }) => type),
      locations: pairs.map(({ place }) => place),
      locationTypes: pairs.map(() => args.locationType ?? "availability-zone"),
    });
  },
  "aws:ec2/getAmi:getAmi": (args, _, { region }) => {
    const id = `ami-0${hash(region, JSON.stringify(args)).slice(0, 16)}`;
    const arch = JSON.stringify(args).includes("arm64") ? "arm64" : "x86_64";
    return found(id, {
      ...args,
      imageId: id,
      architecture: arch,
      name: "image",
      rootDeviceName: "/dev/xvda",
      ownerId: "137112412989",
    });
  },
  "aws:ssm/getParameter:getParameter": (args, world, { account, region }) => {
    const name = String(args.name);
    const own = world.find("aws:ssm/parameter:Parameter", "id", name);
    if (!own && !name.startsWith("/aws/service/")) throw new Refusal(`ParameterNotFound: ${name}`);
    const value = own?.inputs.value ?? `ami-0${hash(region, name).slice(0, 16)}`;
    return found(name, {
      ...args,
      arn: `arn:${partitionOf(region)}:ssm:${region}:${account}:parameter${name}`,
      type: "String",
      value,
      insecureValue: value,
      version: 1,
      withDecryption: true,
    });
  },
  "aws:route53/getZone:getZone": (args, world, { account }) => {
    const bare = (name: unknown) => String(name ?? "").replace(/\.$/, "");
    const zone = world.of(ZONE).find((one) => {
      if (one.scope.account !== account) return false;
      return args.zoneId ? one.id === args.zoneId : bare(one.state.name) === bare(args.name);
    });
    if (!zone)
      throw new Refusal(`no matching Route 53 hosted zone found: ${args.zoneId ?? args.name}`);
    return found(zone.id, {
      ...args,
      arn: zone.state.arn,
      name: bare(zone.state.name),
      zoneId: zone.id,
      nameServers: zone.state.nameServers,
      privateZone: false,
    });
  },
  "aws:eks/getCluster:getCluster": (args, world) => {
    const cluster = world.find(CLUSTER, "name", args.name);
    if (!cluster) throw new Refusal(`ResourceNotFound: no cluster ${args.name}`);
    const { certificateAuthority, ...state } = cluster.state;
    return found(cluster.id, { ...state, certificateAuthorities: [certificateAuthority] });
  },
  "aws:ec2/getVpc:getVpc": (args, world) => {
    const vpc = world.find("aws:ec2/vpc:Vpc", "id", args.id);
    if (!vpc) throw new Refusal(`no matching EC2 VPC found: ${args.id}`);
    const { cidrBlock } = vpc.state;
    const blocks = [{ associationId: "vpc-cidr-assoc-0", cidrBlock, state: "associated" }];
    return found(vpc.id, {
      enableDnsHostnames: true,
      enableDnsSupport: true,
      ...vpc.state,
      cidrBlockAssociations: blocks,
    });
  },
  "aws:ec2/getSubnet:getSubnet": (args, world) => {
    const subnet = world.find("aws:ec2/subnet:Subnet", "id", args.id);
    if (!subnet) throw new Refusal(`no matching EC2 Subnet found: ${args.id}`);
    return found(subnet.id, { availableIpAddressCount: 4000, ...subnet.state });
  },
  "aws:servicequotas/getServiceQuota:getServiceQuota": (args, world, { region, account }) => {
    const key = `${args.serviceCode} ${args.quotaCode}`;
    const value = world.settings.quotas?.[key] ?? DEFAULT_QUOTAS[key];
    if (value === undefined)
      throw new Refusal(`NoSuchResource: no quota ${key} (or DEFAULT_QUOTAS lacks it)`);
    return found(
      `arn:aws:servicequotas:${region}:${account}:${args.serviceCode}/${args.quotaCode}`,
      {
        ...args,
        adjustable: true,
        defaultValue: DEFAULT_QUOTAS[key] ?? value,
        globalQuota: false,
        quotaName: key,
        value,
      },
    );
  },
  ...counted("aws:ec2/getVpcs:getVpcs", "ids", "aws:ec2/vpc:Vpc"),
  ...counted("aws:ec2/getEips:getEips", "allocationIds", "aws:ec2/eip:Eip"),
  ...counted("aws:ec2/getNatGateways:getNatGateways", "ids", "aws:ec2/natGateway:NatGateway"),
  ...counted("aws:ec2/getInstances:getInstances", "ids", "aws:ec2/instance:Instance"),
  ...counted("aws:lb/getLbs:getLbs", "arns", "aws:lb/loadBalancer:LoadBalancer"),
  ...counted(
    "aws:rds/getInstances:getInstances",
    "instanceIdentifiers",
    "aws:rds/instance:Instance",
  ),
  ...counted("aws:eks/getClusters:getClusters", "names", CLUSTER),
  "aws:ec2/getInstance:getInstance": (args, world) => {
    const row = world.find("aws:ec2/instance:Instance", "id", args.instanceId);
    if (!row) throw new Refusal(`no matching EC2 Instance found: ${args.instanceId}`);
    return found(row.id, { ...row.state, instanceId: row.id });
  },
  "aws:ec2/getInstanceType:getInstanceType": (args) =>
    found(String(args.instanceType), { ...args, defaultVcpus: vcpusOf(String(args.instanceType)) }),
  "aws:iam/getPolicyDocument:getPolicyDocument": () => {
    throw new Refusal("policies are written as JSON here, not looked up");
  },
};

/** Lists of what there is, all of it or what carries a tag. */
function counted(token: string, property: string, type: string): Record<string, Lookup> {
  return {
    [token]: (args, world, scope) => {
      const wanted = Object.entries((args.tags ?? args.instanceTags ?? {}) as Props);
      const spot = filterOf(args, "instance-lifecycle").includes("spot");
      const rows = world.of(type).filter((row) => {
        const tags = (row.inputs.tags ?? {}) as Props;
        const here = row.scope.account === scope.account && row.scope.region === scope.region;
        return here && !spot && wanted.every(([key, value]) => tags[key] === value);
      });
      return found(scope.region, { ...args, [property]: rows.map(({ id }) => id) });
    },
  };
}

/** Enough for the families used here: size names double from `large` on. */
function vcpusOf(type: string): number {
  const size = type.split(".")[1] ?? "";
  const times = Number(/^(\d+)xlarge$/.exec(size)?.[1] ?? 0);
  return times > 0 ? times * 4 : size === "xlarge" ? 4 : 2;
}

/** Roles of AWS's own services that an account in use has. */
const SERVICE_ROLES = [
  ["autoscaling.amazonaws.com", "AWSServiceRoleForAutoScaling"],
  ["spot.amazonaws.com", "AWSServiceRoleForEC2Spot"],
  ["eks.amazonaws.com", "AWSServiceRoleForAmazonEKS"],
  ["eks-nodegroup.amazonaws.com", "AWSServiceRoleForAmazonEKSNodegroup"],
  ["elasticloadbalancing.amazonaws.com", "AWSServiceRoleForElasticLoadBalancing"],
  ["elasticache.amazonaws.com", "AWSServiceRoleForElastiCache"],
  ["rds.amazonaws.com", "AWSServiceRoleForRDS"],
] as const;

function filterOf(args: Props, name: string): string[] {
  const filters = (args.filters ?? []) as { name: string; values: string[] }[];
  return filters.filter((filter) => filter.name === name).flatMap(({ values }) => values);
}

const hash = (...parts: string[]) => createHash("sha256").update(parts.join(" ")).digest("hex");
