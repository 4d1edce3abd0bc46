import * as aws from "@pulumi/aws";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import { adminAccess } from "./access.ts";
import { addons } from "./addons.ts";
import { controlPlane } from "./control-plane.ts";
import { kubeconfigOf, type TokenCommand, tokenCommand } from "./kubeconfig.ts";
import type { ClusterPlan } from "./plan.ts";
import { systemNodes } from "./system-nodes.ts";

export interface ClusterArgs {
  readonly context: AwsContext;
  /** From `planCluster`. */
  readonly plan: ClusterPlan;
  /** Private subnets, one a zone, for the control plane's interfaces and the system nodes. */
  readonly privateSubnetIds: readonly pulumi.Input<string>[];
  /** Key of Kubernetes Secrets and of volumes. */
  readonly keyArn: pulumi.Input<string>;
  /** Key of log groups. */
  readonly logsKeyArn: pulumi.Input<string>;
  /** Role that Kubernetes objects are made with, one of `cluster.admins`; the caller's own identity when left out. */
  readonly deployerRoleArn?: string;
}

/** An EKS cluster with its addons and system nodes, or one that exists, and the way into it. */
export class Cluster extends pulumi.ComponentResource {
  readonly clusterName: pulumi.Output<string>;
  readonly arn: pulumi.Output<string>;
  readonly endpoint: pulumi.Output<string>;
  /** Base64. */
  readonly certificateAuthority: pulumi.Output<string>;
  readonly version: pulumi.Output<string>;
  /** Asks the AWS CLI for tokens; holds no secret. */
  readonly kubeconfig: pulumi.Output<string>;
  /** How a client gets a token. Plain data. */
  readonly token: TokenCommand;
  /** Security group of control plane and nodes. */
  readonly securityGroupId: pulumi.Output<string>;
  /** Role of the system nodes; null for an adopted cluster. */
  readonly nodeRoleArn: pulumi.Output<string> | null;
  readonly nodeRoleName: pulumi.Output<string> | null;
  /** For every Kubernetes object of the stack. */
  readonly provider: k8s.Provider;
  /** Kubernetes objects depend on all of these: access of who deploys, nodes, and addons. */
  readonly ready: readonly pulumi.Resource[];
  /** For `deletedWith` of objects without effects outside of the cluster; undefined for an adopted cluster. */
  readonly deletedWith: pulumi.Resource | undefined;

  constructor(name: string, args: ClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:compute:Cluster", name, {}, opts);
    const { context, plan } = args;
    const found = plan.adopted ? lookUp(plan.clusterName, this) : this.#make(name, args);
    this.clusterName = found.clusterName;
    this.arn = found.arn;
    this.endpoint = found.endpoint;
    this.certificateAuthority = found.certificateAuthority;
    this.version = found.version;
    this.securityGroupId = found.securityGroupId;
    this.deletedWith = found.cluster;

    const access = adminAccess(
      name,
      { context, clusterName: found.clusterName, admins: plan.admins },
      { parent: this },
    );
    const addonArgs = {
      context,
      clusterName: found.clusterName,
      keyArn: args.keyArn,
    };
    const first = addons(
      name,
      {
        ...addonArgs,
        addons: plan.addons.filter(({ when }) => when === "before-nodes"),
        dependsOn: [],
      },
      this,
    );
    const nodes = plan.systemNodes
      ? systemNodes(
          name,
          {
            context,
            plan: { ...plan, systemNodes: plan.systemNodes },
            cluster: found.clusterName,
            subnetIds: args.privateSubnetIds,
            keyArn: args.keyArn,
            dependsOn: first,
          },
          this,
        )
      : null;
    const second = addons(
      name,
      {
        ...addonArgs,
        addons: plan.addons.filter(({ when }) => when === "after-nodes"),
        dependsOn: nodes ? [...first, nodes.group] : first,
      },
      this,
    );
    this.nodeRoleArn = nodes?.role.arn ?? null;
    this.nodeRoleName = nodes?.role.name ?? null;

    this.token = tokenCommand({
      name: plan.clusterName,
      region: context.region,
      roleArn: args.deployerRoleArn,
    });
    this.kubeconfig = pulumi
      .all([found.endpoint, found.certificateAuthority])
      .apply(([endpoint, certificateAuthority]) =>
        kubeconfigOf({
          name: plan.clusterName,
          endpoint,
          certificateAuthority,
          token: this.token,
        }),
      );
    this.provider = new k8s.Provider(
      `${name}-kubernetes`,
      {
        kubeconfig: this.kubeconfig,
        // Only another cluster replaces the provider, and with it everything in the cluster.
        clusterIdentifier: found.arn,
        // An ephemeral stack whose cluster is gone already is still destroyed by one command.
        deleteUnreachable: context.lifetime.forceDestroy,
        enableServerSideApply: true,
      },
      { parent: this, dependsOn: access },
    );
    this.ready = [...access, ...first, ...(nodes ? [nodes.group] : []), ...second];
    this.registerOutputs({
      clusterName: this.clusterName,
      arn: this.arn,
      endpoint: this.endpoint,
      certificateAuthority: this.certificateAuthority,
      version: this.version,
      kubeconfig: this.kubeconfig,
      securityGroupId: this.securityGroupId,
    });
  }

  #make(name: string, args: ClusterArgs) {
    const { context, plan, keyArn, logsKeyArn } = args;
    const cluster = controlPlane(
      name,
      { context, plan, subnetIds: args.privateSubnetIds, keyArn, logsKeyArn },
      this,
    );
    return {
      cluster,
      clusterName: cluster.name,
      arn: cluster.arn,
      endpoint: cluster.endpoint,
      certificateAuthority: cluster.certificateAuthority.apply(({ data }) => data ?? ""),
      version: cluster.version,
      securityGroupId: cluster.vpcConfig.clusterSecurityGroupId,
    };
  }
}

/** A cluster that exists: read, never changed. */
function lookUp(name: string, parent: pulumi.Resource) {
  const found = aws.eks.getClusterOutput({ name }, { parent });
  return {
    cluster: undefined,
    clusterName: found.name,
    arn: found.arn,
    endpoint: found.endpoint,
    certificateAuthority: found.certificateAuthorities.apply(([first]) => first?.data ?? ""),
    version: found.version,
    securityGroupId: found.vpcConfig.clusterSecurityGroupId,
  };
}
