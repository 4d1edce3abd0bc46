import type * as pulumi from "@pulumi/pulumi";
import { CONTROLLER, KARPENTER } from "./catalog.ts";

/** Values of Karpenter's chart. Keys are of its own values.yaml, at the pinned tag. */
export function controllerValues(args: {
  readonly region: string;
  readonly clusterName: string;
  readonly endpoint: pulumi.Input<string>;
  readonly queueName: pulumi.Input<string>;
  readonly zonalShift: boolean;
  readonly isolated: boolean;
}) {
  return {
    replicas: 2,
    serviceAccount: { create: true, name: KARPENTER.serviceAccount },
    controller: {
      resources: CONTROLLER,
      // Pods do not reach the instance's metadata, which would tell it.
      env: [{ name: "AWS_REGION", value: args.region }],
    },
    settings: {
      clusterName: args.clusterName,
      clusterEndpoint: args.endpoint,
      interruptionQueue: args.queueName,
      enableZonalShift: args.zonalShift,
      isolatedVPC: args.isolated,
    },
  };
}
