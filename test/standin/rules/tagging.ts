import type { Props } from "../../../plugin/values.ts";
import type { Row, World } from "../world.ts";
import { GLOBAL, partitionOf } from "./parts.ts";
import { type Lookup, Refusal } from "./types.ts";

/** Services whose tags AWS lists together, with those of their types that bear none. */
const LISTED =
  /^aws:(acm|cloudwatch|ebs|ec2|efs|eks|elasticache|kms|lb|rds|route53|s3|secretsmanager|sqs|vpc|wafv2)\//;

/** Of these the list knows nothing though they bear tags. Source: "Supported services" of that API. */
const UNLISTED = /^aws:(iam\/role:|budgets\/)/;

/** So many of what was made last a list does not show at first. */
const LATE = 3;

/** What a list of tags showed last, as the account's turn. */
const SEEN = "turn that the list of tags shows";

function shown(world: World): (row: Row) => boolean {
  const newest = Math.max(0, ...[...world.rows.values()].map(({ turn }) => turn));
  const turn = Math.max(world.counts[SEEN] ?? 0, newest - LATE);
  world.counts[SEEN] = newest;
  return (row) => row.turn <= turn;
}

/** ARNs of what tells none to Pulumi; what is not here tells it. */
const ARNS: Readonly<Record<string, (row: Row) => string>> = {
  "aws:ec2/natGateway:NatGateway": ({ id, scope }) =>
    `arn:${partitionOf(scope.region)}:ec2:${scope.region}:${scope.account}:natgateway/${id}`,
  "aws:eks/accessEntry:AccessEntry": ({ inputs, scope }) => {
    const name = String(inputs.principalArn).split("/").at(-1);
    return `arn:${partitionOf(scope.region)}:eks:${scope.region}:${scope.account}:access-entry/${inputs.clusterName}/role/${scope.account}/${name}/0`;
  },
  "aws:eks/podIdentityAssociation:PodIdentityAssociation": ({ id, inputs, scope }) =>
    `arn:${partitionOf(scope.region)}:eks:${scope.region}:${scope.account}:podidentityassociation/${inputs.clusterName}/${id}`,
};

/** Global services are listed by the first region alone. */
const isOf = (row: Row, region: string): boolean =>
  GLOBAL.test(row.type) && !row.type.startsWith("aws:s3/")
    ? region === "us-east-1"
    : row.scope.region === region;

/** What bears tags, and what keeps interfaces in subnets. */
export const TAGGING: Readonly<Record<string, Lookup>> = {
  "aws:resourcegroupstaggingapi/getResources:getResources": (args, world, scope) => {
    const region = String(args.region ?? scope.region);
    const filters = (args.tagFilters ?? []) as { key: string; values?: string[] }[];
    const isShown = shown(world);
    const rows = [...world.rows.values()].filter((row) => {
      const tags = (row.inputs.tags ?? {}) as Record<string, string>;
      const fits = filters.every(
        ({ key, values = [] }) =>
          tags[key] !== undefined && (values.length === 0 || values.includes(tags[key])),
      );
      const known = LISTED.test(row.type) && !UNLISTED.test(row.type) && !row.ghost;
      const here = row.scope.account === scope.account && isOf(row, region);
      return known && here && fits && Object.keys(tags).length > 0 && isShown(row);
    });
    return {
      ...args,
      id: region,
      region,
      resourceTagMappingLists: rows.map((row) => ({
        resourceArn: ARNS[row.type]?.(row) ?? row.state.arn,
        tags: row.inputs.tags as Props,
        complianceDetails: [],
      })),
    };
  },
  "aws:ec2/getNetworkInterfaces:getNetworkInterfaces": (args, world, { region }) => {
    const filters = (args.filters ?? []) as { name: string; values: string[] }[];
    const ids = interfacesOf(world)
      .filter((one) => filters.every(({ name, values }) => values.some((v) => fits(one, name, v))))
      .map(({ id }) => id);
    return { ...args, id: region, region, ids };
  },
  "aws:ec2/getNetworkInterface:getNetworkInterface": (args, world) => {
    const one = interfacesOf(world).find(({ id }) => id === args.id);
    if (!one) throw new Refusal(`InvalidNetworkInterfaceID.NotFound: ${args.id}`);
    return { ...args, ...one };
  },
};

interface Interface {
  readonly id: string;
  readonly subnetId: string;
  readonly description: string;
}

function interfacesOf(world: World): Interface[] {
  return world.of("aws:efs/mountTarget:MountTarget").map(({ id, inputs, state }) => ({
    id: String(state.networkInterfaceId),
    subnetId: String(inputs.subnetId),
    description: `EFS mount target for ${inputs.fileSystemId} (${id})`,
  }));
}

/** A filter's value, in which * stands for anything. */
function fits(one: Interface, name: string, value: string): boolean {
  const text = { "subnet-id": one.subnetId, description: one.description }[name];
  if (text === undefined) throw new Refusal(`the stand-in knows no filter ${name}`);
  const pattern = value.split("*").map((part) => part.replace(/[^\w-]/g, "\\$&"));
  return new RegExp(`^${pattern.join(".*")}$`).test(text);
}
