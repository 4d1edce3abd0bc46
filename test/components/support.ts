import * as aws from "@pulumi/aws";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../../components/context.ts";
import type { MakeGone } from "../../components/gone.ts";
import { type Environment, LIFETIMES } from "../../components/lifetime.ts";

/** A stack in Frankfurt. */
export function context(environment: Environment = "prod"): AwsContext {
  return {
    fleet: environment,
    region: "eu-central-1",
    accountId: "123456789012",
    zones: ["a", "b", "c"].map((z, i) => ({ name: `eu-central-1${z}`, id: `euc1-az${i + 1}` })),
    partition: "aws",
    lifetime: LIFETIMES[environment],
    tags: { fleet: environment, owner: "ops" },
    permissionsBoundaryArn: "arn:aws:iam::123456789012:policy/boundary",
    rolePath: "/fleet/",
  };
}

/** What the cluster hands on, with an explicit provider of each kind. */
export function cluster(): {
  readonly kubernetes: k8s.Provider;
  readonly cluster: pulumi.Resource;
  readonly ready: pulumi.Resource[];
  readonly gone: MakeGone;
} {
  const made = new aws.eks.Cluster("test-cluster", {
    roleArn: "arn:aws:iam::123456789012:role/cluster",
    vpcConfig: { subnetIds: ["subnet-1"] },
  });
  const ready = new aws.eks.AccessEntry("test-access", {
    clusterName: "prod",
    principalArn: "arn:aws:iam::123456789012:role/deployer",
  });
  return {
    kubernetes: new k8s.Provider("test-kubernetes", { kubeconfig: "{}" }),
    cluster: made,
    ready: [ready],
    gone: (name, args, opts) => new Gone(name, args, opts),
  };
}

class Gone extends pulumi.CustomResource {
  constructor(name: string, args: object, opts: pulumi.CustomResourceOptions) {
    super("openclaw:kube:Gone", name, { ...args }, opts);
  }
}
