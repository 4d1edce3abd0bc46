import type { Row, World } from "./world.ts";

/**
 * Ids that a resource is imported by where they are others than its own.
 * Source: "Import" of each resource's page of the provider.
 */
const IMPORTED_AS: Readonly<Record<string, (row: Row) => string>> = {
  "aws:cloudwatch/eventTarget:EventTarget": ({ inputs }) => `${inputs.rule}/${inputs.targetId}`,
  "aws:ec2/route:Route": ({ inputs }) => `${inputs.routeTableId}_${inputs.destinationCidrBlock}`,
  "aws:ec2/routeTableAssociation:RouteTableAssociation": ({ inputs }) =>
    `${inputs.subnetId}/${inputs.routeTableId}`,
  "aws:ec2/volumeAttachment:VolumeAttachment": ({ inputs }) =>
    `${inputs.deviceName}:${inputs.volumeId}:${inputs.instanceId}`,
  "aws:eks/podIdentityAssociation:PodIdentityAssociation": ({ id, inputs }) =>
    `${inputs.clusterName},${id}`,
  "aws:rds/instance:Instance": ({ inputs }) => String(inputs.identifier),
  "aws:wafv2/webAcl:WebAcl": ({ id, inputs }) => `${id}/${inputs.name}/${inputs.scope}`,
};

/** The resource that is imported by an id; by its own it is found where it is kept. */
export function importedBy(
  world: World,
  { type, scope }: Pick<Row, "type" | "scope">,
  id: string,
): Row | undefined {
  const form = IMPORTED_AS[type];
  return (
    form && world.of(type).find((row) => row.scope.account === scope.account && form(row) === id)
  );
}

/** The id by which a resource is imported. */
export const importIdOf = (row: Row): string => IMPORTED_AS[row.type]?.(row) ?? row.id;
