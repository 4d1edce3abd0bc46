import type * as pulumi from "@pulumi/pulumi";
import { z } from "zod";

/**
 * What each layer hands to the next, and what a stack that makes only some layers exports: so another
 * stack can take a layer over by `adopt.<layer>.fromStack`, or a person can write the same values down.
 * Ids and ARNs only: secrets stay in Secrets Manager and go by their ARN.
 */
const id = () => z.string().min(1);
const ids = () => z.array(id()).min(2).max(3);
const bucket = z.strictObject({ name: id(), arn: id() });
const store = { host: id(), port: z.int(), secretArn: id(), securityGroupId: id() };

export const baseLayer = z.strictObject({
  network: z.strictObject({
    vpcId: id(),
    cidr: id(),
    publicSubnetIds: ids(),
    privateSubnetIds: ids(),
    dataSubnetIds: ids(),
    publicCidrs: ids(),
    /** Zones of the subnets, in their order: whoever builds on them stands in the same. */
    zoneIds: ids(),
  }),
  keys: z.strictObject({ compute: id(), data: id(), logs: id() }),
  zone: z.strictObject({ zoneId: id(), zoneName: id() }).nullable(),
});

export const dataLayer = z.strictObject({
  cache: z.strictObject({ ...store, clusterMode: z.boolean() }).nullable(),
  database: z
    .strictObject({
      ...store,
      databaseName: id(),
      proxyHost: id().nullable(),
      proxySecurityGroupId: id().nullable(),
    })
    .nullable(),
  files: z
    .strictObject({
      fileSystemId: id(),
      accessPoints: z.record(z.string(), id()),
      securityGroupId: id(),
    })
    .nullable(),
  replicas: bucket,
  chatLogs: bucket,
  accessLogs: bucket.nullable(),
});

export const computeLayer = z.strictObject({
  endpoint: id(),
  edge: z.strictObject({
    dnsName: id(),
    securityGroupId: id(),
    targetGroupArn: id().nullable(),
  }),
  /** Hosts in the form that target `hosts` takes; null on a cluster. */
  hosts: z
    .array(
      z.strictObject({
        name: id(),
        address: id(),
        user: id(),
        instanceId: id(),
        labels: z.record(z.string(), z.string()),
      }),
    )
    .nullable(),
  /** Null on hosts. */
  cluster: z
    .strictObject({
      name: id(),
      arn: id(),
      endpoint: id(),
      certificateAuthority: id(),
      securityGroupId: id(),
      controllerRole: id(),
      storageClass: id(),
    })
    .nullable(),
});

/** Layers that another stack can take over. */
export const LAYER_SHAPES = { base: baseLayer, data: dataLayer, compute: computeLayer } as const;
export type AdoptedLayer = keyof typeof LAYER_SHAPES;

/** The same shape while it is being made: ids are known later; what a plan decides is plain. */
type Later<T> = T extends string
  ? pulumi.Input<string>
  : T extends readonly (infer U)[]
    ? readonly Later<U>[]
    : T extends object
      ? { readonly [K in keyof T]: Later<T[K]> }
      : T;

type Plain<T, K extends keyof T> = Omit<Later<T>, K> & { readonly [P in K]: T[P] };
type Base = z.output<typeof baseLayer>;

export interface BaseLayer extends Omit<Later<Base>, "network"> {
  readonly network: Plain<Base["network"], "cidr" | "publicCidrs" | "zoneIds">;
}
export type DataLayer = Later<z.output<typeof dataLayer>>;
export type ComputeLayer = Later<z.output<typeof computeLayer>>;
