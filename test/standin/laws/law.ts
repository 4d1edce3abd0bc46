import { parsed } from "../rules/parts.ts";
import { type Row, valuesAt, type World } from "../world.ts";

/** What must hold of an account after a deployment, though AWS itself would refuse nothing. */
export interface Law {
  readonly says: string;
  readonly broken: (world: World) => readonly string[];
}

/** Rows of a type with what is wrong with them. */
export const each =
  (type: string, wrong: (row: Row, world: World) => string | false | null | undefined) =>
  (world: World): string[] =>
    world.of(type).flatMap((row) => {
      const what = wrong(row, world);
      return what ? [`${row.urn.split("::").at(-1)}: ${what}`] : [];
    });

export const has = (world: World, type: string, property: string, value: unknown) =>
  world.of(type).some((one) => one.inputs[property] === value);

export const BUCKET = "aws:s3/bucket:Bucket";
export const part = (name: string) =>
  `aws:s3/${name.charAt(0).toLowerCase()}${name.slice(1)}:${name}`;
export const INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule";
export const EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule";
export const SUBNET = "aws:ec2/subnet:Subnet";
export const BALANCER = "aws:lb/loadBalancer:LoadBalancer";
export const LISTENER = "aws:lb/listener:Listener";
export const NAMESPACE = "kubernetes:core/v1:Namespace";
export const RELEASE = "kubernetes:helm.sh/v3:Release";

/** Whether a group lets somebody in at a port; its own members are nobody else. */
export function opens(world: World, group: unknown, port: unknown): boolean {
  return world.of(INGRESS).some((rule) => {
    const { securityGroupId, referencedSecurityGroupId, ipProtocol, fromPort, toPort } =
      rule.inputs;
    if (securityGroupId !== group || referencedSecurityGroupId === group) return false;
    return (
      ipProtocol === "-1" || (Number(fromPort) <= Number(port) && Number(port) <= Number(toPort))
    );
  });
}

export const someOpen = (row: Row, path: string, port: unknown, world: World) =>
  valuesAt(row.inputs, path).some((group) => opens(world, group, port))
    ? null
    : `nobody may connect to its port ${port}`;

/** Actions that a role's policies allow. */
export function actionsOf(world: World, role: unknown): Set<string> {
  const inline = world
    .of("aws:iam/rolePolicy:RolePolicy")
    .filter((one) => one.inputs.role === role);
  const attached = world
    .of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
    .filter((one) => one.inputs.role === role)
    .flatMap((one) => world.find("aws:iam/policy:Policy", "arn", one.inputs.policyArn) ?? []);
  const statements = [...inline, ...attached].flatMap((one) =>
    [parsed(one.inputs.policy)?.Statement ?? []].flat(),
  );
  return new Set(statements.flatMap((one) => valuesAt(one, "Action")).flat() as string[]);
}

export const allowed = (actions: ReadonlySet<string>, wanted: string) =>
  [...actions].some((one) => new RegExp(`^${one.replaceAll("*", ".*")}$`).test(wanted));
