import type * as pulumi from "@pulumi/pulumi";
import type { Lifetime } from "./lifetime.ts";

/** One availability zone of a plan, chosen once by id and pinned: a new zone of the region changes nothing. */
export interface Zone {
  /** The account's own name, e.g. `eu-central-1a`. Children are named by it. */
  readonly name: string;
  /** The same physical zone for every account, e.g. `euc1-az2`. */
  readonly id: string;
}

/** What every component on AWS is told. Plain data, but for the partition, which AWS says. */
export interface AwsContext {
  /** The fleet: the stack's name. Names of children and of what AWS names begin with it. */
  readonly fleet: string;
  readonly region: string;
  /** Twelve digits. */
  readonly accountId: string;
  /** Two or three, in the order in which subnets were numbered. */
  readonly zones: readonly Zone[];
  /** `aws`, `aws-cn`, `aws-us-gov`: first part of every ARN after `arn:`. */
  readonly partition: pulumi.Input<string>;
  /** What the environment protects, keeps and deletes. */
  readonly lifetime: Lifetime;
  /** On every resource, beside `Name`. The provider's default tags do not reach launch templates and volumes. */
  readonly tags: Readonly<Record<string, string>>;
  /** On every role, where the account demands it. */
  readonly permissionsBoundaryArn?: string;
  /** Path of every role. @default "/" */
  readonly rolePath?: string;
}

/** Longest name of a stack: with a component's suffix and Pulumi's it stays within AWS's shortest limit (32, load balancers). */
export const FLEET_NAME_MAX = 16;
