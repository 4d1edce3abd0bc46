import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";

/**
 * Who may connect to a store: ids of their security groups, by what they are (`nodes`, `hosts`). The
 * keys name the rules, so that one client more or less touches no other's rule.
 */
export type Clients = Readonly<Record<string, pulumi.Input<string>>>;

/** What a store's security group is made of. */
export interface StoreGroupArgs {
  readonly vpcId: pulumi.Input<string>;
  /** Shown in AWS. A change replaces the group. */
  readonly description: string;
  /** TCP port that clients reach. */
  readonly port: number;
  readonly clients: Clients;
  readonly tags: Readonly<Record<string, string>>;
}

/**
 * Security group of a store: clients reach one TCP port by their own groups, never by address, and
 * nothing goes out. The provider takes away the rule "everything out" that AWS gives a new group.
 */
export function storeGroup(
  name: string,
  { vpcId, description, port, clients, tags }: StoreGroupArgs,
  opts: pulumi.CustomResourceOptions,
): aws.ec2.SecurityGroup {
  const group = new aws.ec2.SecurityGroup(
    name,
    // Rules of other groups that name this one would hold up its deletion.
    { vpcId, description, revokeRulesOnDelete: true, tags: { ...tags, Name: name } },
    opts,
  );
  admit(name, { securityGroupId: group.id, port, clients, tags }, opts);
  return group;
}

/**
 * Lets clients reach a store. A layer that is made after the store uses it with the store's
 * `securityGroupId` and its own groups. Names are `<name>-from-<client>`.
 */
export function admit(
  name: string,
  args: {
    readonly securityGroupId: pulumi.Input<string>;
    readonly port: number;
    readonly clients: Clients;
    readonly tags: Readonly<Record<string, string>>;
  },
  opts: pulumi.CustomResourceOptions,
): aws.vpc.SecurityGroupIngressRule[] {
  return Object.entries(args.clients).map(
    ([client, referencedSecurityGroupId]) =>
      new aws.vpc.SecurityGroupIngressRule(
        `${name}-from-${client}`,
        {
          securityGroupId: args.securityGroupId,
          referencedSecurityGroupId,
          ipProtocol: "tcp",
          fromPort: args.port,
          toPort: args.port,
          description: `From ${client}`,
          tags: { ...args.tags, Name: `${name}-from-${client}` },
        },
        opts,
      ),
  );
}
