import type * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { CHARTS, type ChartName } from "../charts.ts";
import type { AwsContext } from "../context.ts";
import { closedNamespace } from "../namespace.ts";
import { podIdentity } from "../pod-identity.ts";
import { release, type Values } from "../release.ts";
import {
  CONTROLLERS,
  type ControllerName,
  NAMESPACES,
  SERVICE_ACCOUNTS,
  STORAGE_CLASS,
  WEBHOOK_PORTS,
} from "./catalog.ts";
import { fleetCa } from "./certificates.ts";
import type { PlatformPlan } from "./plan.ts";
import { secretStatements, secretStore } from "./secrets.ts";
import { storageClass } from "./storage.ts";
import {
  certManagerValues,
  devicePluginValues,
  externalSecretsValues,
  kedaValues,
  loadBalancerControllerValues,
} from "./values.ts";

export interface PlatformArgs {
  readonly context: AwsContext;
  /** From {@link planPlatform}. */
  readonly plan: PlatformPlan;
  /** Name of the cluster; plain, since roles say it in what they trust. */
  readonly clusterName: string;
  readonly vpcId: pulumi.Input<string>;
  /** Address ranges of the VPC: the API server reaches webhooks from them. */
  readonly vpcCidrs: readonly string[];
  /** Subnets of the balancer: from them the routers are reached. */
  readonly publicCidrs: readonly string[];
  /** Port of the routers' pods. */
  readonly routerPort: number;
  /** Key of volumes. */
  readonly computeKeyArn: pulumi.Input<string>;
  /** Key of secrets. */
  readonly dataKeyArn: pulumi.Input<string>;
  /** Secrets to be read whose names do not begin with the fleet's, e.g. a database's own. @default none */
  readonly secretArns?: readonly pulumi.Input<string>[];
  /** Namespaces that may have secrets brought in, beside the fleet's. */
  readonly secretNamespaces: readonly string[];
  /** Namespace from which everything is scraped; null without monitoring. */
  readonly monitoringNamespace: string | null;
  readonly kubernetes: k8s.Provider;
  /** What any object in the cluster waits for: the caller's access, DNS, the Pod Identity agent. */
  readonly ready: readonly pulumi.Resource[];
  /** The cluster, when it is ours: with it goes what has no effect outside it. */
  readonly cluster?: pulumi.Resource;
}

/** Controllers that the fleet leans on, its namespaces, its StorageClass, its way to secrets, its CA. */
export class Platform extends pulumi.ComponentResource {
  /** Name of the load balancer controller's role; a binding gives it the right to its target group. */
  readonly controllerRole: pulumi.Output<string>;
  /** What a target group binding depends on: controller, namespace. */
  readonly bindingReady: readonly pulumi.Resource[];
  /** What an ExternalSecret depends on. */
  readonly secretsReady: readonly pulumi.Resource[];
  /** What a Certificate of the fleet depends on. */
  readonly certificatesReady: readonly pulumi.Resource[];
  /** Name of the StorageClass; known once it is there. */
  readonly storageClass: pulumi.Output<string>;

  constructor(name: string, args: PlatformArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:compute:Platform", name, {}, opts);
    const { context, plan, clusterName, kubernetes, ready, cluster } = args;
    const inside: pulumi.CustomResourceOptions = {
      parent: this,
      provider: kubernetes,
      dependsOn: [...ready],
      ...(cluster ? { deletedWith: cluster } : {}),
    };
    const after = (...resources: readonly pulumi.Resource[]) =>
      pulumi.mergeOptions(inside, { dependsOn: [...resources] });

    const scraped = args.monitoringNamespace
      ? [{ name: "monitoring", from: { namespaces: [args.monitoringNamespace] } }]
      : [];
    const fleet = closedNamespace(
      `${name}-fleet`,
      {
        namespace: NAMESPACES.fleet,
        // A browser in a gateway's pod needs more than `restricted` leaves it.
        security: "baseline",
        // A router's pod counts as ready only once the balancer has seen it so.
        labels: { "elbv2.k8s.aws/pod-readiness-gate-inject": "enabled" },
        ingress: [
          { name: "balancer", from: { cidrs: args.publicCidrs }, ports: [args.routerPort] },
          ...scraped,
        ],
      },
      inside,
    );
    const platform = closedNamespace(
      `${name}-platform`,
      {
        namespace: NAMESPACES.platform,
        security: "baseline",
        ingress: [
          { name: "api-server", from: { cidrs: args.vpcCidrs }, ports: WEBHOOK_PORTS },
          ...scraped,
        ],
      },
      inside,
    );

    const install = (
      role: string,
      chart: ChartName,
      values: Values,
      ...needs: readonly pulumi.Resource[]
    ) =>
      release(
        `${name}-${role}`,
        { pin: CHARTS[chart], namespace: NAMESPACES.platform, values },
        after(platform, ...needs),
      );
    const size = (controller: ControllerName) => {
      const { memoryMiB, cpuMilli } = CONTROLLERS[controller];
      return { replicas: plan.replicas, memoryMiB, cpuMilli };
    };
    const identity = { context, clusterName, namespace: NAMESPACES.platform, dependsOn: ready };

    const balancer = podIdentity(
      `${name}-load-balancer`,
      {
        ...identity,
        serviceAccount: SERVICE_ACCOUNTS.loadBalancer,
        statements: [READ_TARGETS],
      },
      this,
    );
    const controller = install(
      "load-balancer",
      CONTROLLERS.loadBalancer.chart,
      loadBalancerControllerValues({
        ...size("loadBalancer"),
        clusterName,
        region: context.region,
        vpcId: args.vpcId,
        tags: context.tags,
      }),
      // It watches the fleet's namespace, and nothing else.
      fleet,
      ...balancer.ready,
    );

    const { partition, region, accountId } = context;
    const secrets = podIdentity(
      `${name}-secrets`,
      {
        ...identity,
        serviceAccount: SERVICE_ACCOUNTS.secrets,
        statements: secretStatements({
          context,
          secretArns: args.secretArns ?? [],
          keyArn: args.dataKeyArn,
          own: pulumi.interpolate`arn:${partition}:secretsmanager:${region}:${accountId}:secret:${context.fleet}-*`,
        }),
      },
      this,
    );
    const secretsController = install(
      "secrets",
      CONTROLLERS.secrets.chart,
      externalSecretsValues(size("secrets")),
      ...secrets.ready,
    );
    const store = secretStore(
      `${name}-secret-store`,
      { region, namespaces: [NAMESPACES.fleet, ...args.secretNamespaces] },
      after(secretsController),
    );

    const certManager = install(
      "certificates",
      CONTROLLERS.certificates.chart,
      certManagerValues(size("certificates"), !context.lifetime.forceDestroy),
    );
    const issuer = fleetCa(name, context.fleet, after(certManager, fleet));

    install("scaling", CONTROLLERS.scaling.chart, kedaValues(size("scaling")), fleet);

    if (plan.devicePlugin) {
      const gpu = closedNamespace(
        `${name}-gpu`,
        { namespace: NAMESPACES.gpu, security: "privileged" },
        inside,
      );
      release(
        `${name}-device-plugin`,
        { pin: CHARTS.nvidiaDevicePlugin, namespace: NAMESPACES.gpu, values: devicePluginValues() },
        after(gpu),
      );
    }

    const storage = storageClass(
      `${name}-storage`,
      { keyArn: args.computeKeyArn, tags: context.tags },
      inside,
    );

    this.controllerRole = balancer.role.name;
    this.bindingReady = [controller, fleet];
    this.secretsReady = [store];
    this.certificatesReady = [issuer];
    this.storageClass = storage.metadata.apply((metadata) => metadata.name ?? STORAGE_CLASS);
    this.registerOutputs({ controllerRole: this.controllerRole, storageClass: this.storageClass });
  }
}

/**
 * What the controller reads of any target group. AWS offers no narrower resource for these actions.
 * Source: docs.aws.amazon.com/service-authorization/latest/reference, elasticloadbalancing and ec2, 2026-11-21.
 */
const READ_TARGETS = {
  Sid: "ReadTargets",
  Effect: "Allow" as const,
  Action: [
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:DescribeTargetHealth",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeInstances",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
  ],
  Resource: "*",
};
