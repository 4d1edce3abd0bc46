import * as aws from "@pulumi/aws";
import type * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { CHARTS, type ChartName } from "../charts.ts";
import type { AwsContext } from "../context.ts";
import type { MakeGone } from "../gone.ts";
import { closedNamespace } from "../namespace.ts";
import { podIdentity, type Statement } from "../pod-identity.ts";
import { release, type Values } from "../release.ts";
import { fleetDashboards } from "../watch/dashboards/index.ts";
import { receiverSecrets } from "../watch/receivers.ts";
import { clusterRules } from "../watch/rules/index.ts";
import { NAMESPACES, SECRETS, SERVICES, SIZING } from "./catalog.ts";
import {
  dashboardMap,
  externalSecret,
  prometheusRule,
  type RouterService,
  routerMonitor,
} from "./objects.ts";
import { collectorValues, LOG_PREFIX, lokiValues, tempoValues, vectorValues } from "./pipelines.ts";
import type { MonitoringPlan } from "./plan.ts";
import { grafanaValues, stackValues } from "./values.ts";

export interface MonitoringArgs {
  readonly context: AwsContext;
  /** From {@link planMonitoring}. */
  readonly plan: MonitoringPlan;
  readonly clusterName: string;
  readonly kubernetes: k8s.Provider;
  /** What any object in the cluster waits for: the caller's access, DNS, the volumes' driver. */
  readonly ready: readonly pulumi.Resource[];
  /** The cluster, when it is ours: with it goes what has no effect outside it. */
  readonly cluster?: pulumi.Resource;
  /** Address ranges of the VPC: the API server reaches the operator's webhook from them. */
  readonly vpcCidrs: readonly string[];
  /** Name of the StorageClass, from the platform. */
  readonly storageClass: pulumi.Input<string>;
  /** Name of the ClusterSecretStore, and what an ExternalSecret and a Certificate wait for. */
  readonly secretStore: string;
  readonly platformReady: readonly pulumi.Resource[];
  readonly routers: RouterService;
  /** Secret of Secrets Manager that holds the admin token; without it routers must know the scrapers' range. */
  readonly adminTokenSecret?: pulumi.Input<string>;
  readonly chatLogsBucket: {
    readonly name: pulumi.Input<string>;
    readonly arn: pulumi.Input<string>;
  };
  /** Key of that bucket and of secrets. */
  readonly dataKeyArn: pulumi.Input<string>;
  /** Makes the wait for volumes to be gone. */
  readonly gone: MakeGone;
}

/** Longest wait for volumes to be deleted, seconds. */
const VOLUME_SECONDS = 600;
/** Secret in the cluster with the routers' admin token. */
const TOKEN_SECRET = "fleet-admin-token";

/** Metrics, logs, traces, alerts and dashboards of a fleet in a cluster. */
export class Monitoring extends pulumi.ComponentResource {
  /** Secret of Secrets Manager with Grafana's user and password. */
  readonly grafanaSecretArn: pulumi.Output<string>;
  /** Where gateways push traces and metrics, OTLP over HTTP; inside the cluster. */
  readonly otlpEndpoint: pulumi.Output<string>;

  constructor(name: string, args: MonitoringArgs, opts?: pulumi.ComponentResourceOptions) {
    super("openclaw-fleet:fleet:Monitoring", name, {}, opts);
    const { context, plan, kubernetes, ready, cluster, secretStore } = args;
    const { lifetime } = context;
    const place = { storageClass: args.storageClass, deleteVolumes: lifetime.forceDestroy };
    /** Deleted one by one: volumes go with it. */
    const kept: pulumi.CustomResourceOptions = {
      parent: this,
      provider: kubernetes,
      dependsOn: [...ready],
    };
    const inside = cluster ? { ...kept, deletedWith: cluster } : kept;
    const after = (base: pulumi.CustomResourceOptions, ...resources: readonly pulumi.Resource[]) =>
      pulumi.mergeOptions(base, { dependsOn: [...resources] });

    const monitoring = closedNamespace(
      `${name}-namespace`,
      {
        namespace: NAMESPACES.monitoring,
        security: "baseline",
        ingress: [
          { name: "api-server", from: { cidrs: args.vpcCidrs }, ports: [10250] },
          { name: "agents", from: { namespaces: [NAMESPACES.agents] }, ports: [3100] },
          { name: "fleet", from: { namespaces: [args.routers.namespace] }, ports: [4317, 4318] },
        ],
      },
      inside,
    );
    const agents = closedNamespace(
      `${name}-agents`,
      {
        namespace: NAMESPACES.agents,
        // Node's own metrics and log files.
        security: "privileged",
        ingress: [{ name: "monitoring", from: { namespaces: [NAMESPACES.monitoring] } }],
      },
      inside,
    );

    const install = (
      role: string,
      chart: ChartName,
      values: Values,
      options: pulumi.CustomResourceOptions,
      more: { readonly namespace?: string; readonly replaceOn?: readonly string[] } = {},
    ) =>
      release(
        `${name}-${role}`,
        { pin: CHARTS[chart], namespace: NAMESPACES.monitoring, values, ...more },
        options,
      );

    const crds = install("crds", "prometheusOperatorCrds", {}, after(inside, monitoring));

    const passwordSecret = this.#grafanaPassword(name, args);
    const secrets = after(inside, monitoring, ...args.platformReady);
    const grafanaSecret = externalSecret(
      `${name}-grafana-secret`,
      {
        secret: SECRETS.grafana,
        store: secretStore,
        entries: [
          { key: "admin-user", secret: passwordSecret.name, property: "user" },
          { key: "admin-password", secret: passwordSecret.name, property: "password" },
        ],
      },
      after(secrets, passwordSecret.version),
    );
    const receivers = receiverSecrets(plan.settings.alerts);
    const receiverSecret =
      receivers.length > 0
        ? [
            externalSecret(
              `${name}-receivers`,
              { secret: SECRETS.receivers, store: secretStore, entries: receivers },
              secrets,
            ),
          ]
        : [];

    // Volumes are deleted by their claims' end, and the driver must still be there for it.
    const volumes = lifetime.forceDestroy
      ? [
          args.gone(
            `${name}-volumes-gone`,
            {
              apiVersion: "v1",
              kind: "PersistentVolumeClaim",
              namespace: NAMESPACES.monitoring,
              deadlineSeconds: VOLUME_SECONDS,
            },
            { parent: this, dependsOn: [...ready, monitoring] },
          ),
        ]
      : [];
    const withVolumes = after(kept, monitoring, ...volumes);

    const stack = install(
      "stack",
      "kubePrometheusStack",
      stackValues(plan, place, receivers.length > 0),
      after(withVolumes, agents, crds, ...args.platformReady, ...receiverSecret),
    );
    install("grafana", "grafana", grafanaValues(plan), after(inside, monitoring, grafanaSecret));
    const loki = install("loki", "loki", lokiValues(plan, place), withVolumes, {
      replaceOn: ["singleBinary.persistence.size"],
    });
    const tempo = plan.traces
      ? [
          install("tempo", "tempo", tempoValues(plan.traces, place), withVolumes, {
            replaceOn: ["persistence.size"],
          }),
        ]
      : [];
    install(
      "collector",
      "opentelemetryCollector",
      collectorValues(plan),
      after(inside, monitoring, crds, ...tempo),
    );

    const writer = podIdentity(
      `${name}-vector`,
      {
        context,
        clusterName: args.clusterName,
        namespace: NAMESPACES.agents,
        serviceAccount: "vector",
        dependsOn: args.ready,
        statements: archiveStatements(args),
      },
      this,
    );
    install(
      "vector",
      "vector",
      vectorValues({
        bucket: args.chatLogsBucket.name,
        region: context.region,
        keyArn: args.dataKeyArn,
        seconds: SIZING.archiveSeconds,
      }),
      after(inside, agents, crds, loki, ...writer.ready),
      { namespace: NAMESPACES.agents },
    );

    const token = args.adminTokenSecret
      ? [
          externalSecret(
            `${name}-token`,
            {
              secret: TOKEN_SECRET,
              store: secretStore,
              entries: [{ key: "token", secret: args.adminTokenSecret }],
            },
            secrets,
          ),
        ]
      : [];
    // The operator's webhook looks at both, so they come after it.
    const watched = after(inside, crds, stack);
    routerMonitor(
      `${name}-routers`,
      args.routers,
      args.adminTokenSecret ? TOKEN_SECRET : null,
      after(watched, ...token),
    );
    prometheusRule(`${name}-rules`, clusterRules(plan.facts), watched);
    for (const dashboard of fleetDashboards(plan.facts)) {
      dashboardMap(name, dashboard, after(inside, monitoring));
    }

    this.grafanaSecretArn = passwordSecret.arn;
    this.otlpEndpoint = pulumi.output(SERVICES.otlpHttp);
    this.registerOutputs({
      grafanaSecretArn: this.grafanaSecretArn,
      otlpEndpoint: this.otlpEndpoint,
    });
  }

  /** A password nobody chose, where people with access to the account's secrets find it. */
  #grafanaPassword(name: string, { context, dataKeyArn }: MonitoringArgs) {
    const child = { parent: this };
    const password = new random.RandomPassword(
      `${name}-grafana-password`,
      { length: 32, special: false },
      child,
    );
    const secret = new aws.secretsmanager.Secret(
      `${name}-grafana`,
      {
        description: `Grafana of fleet ${context.fleet}: user and password`,
        kmsKeyId: dataKeyArn,
        recoveryWindowInDays: context.lifetime.secretRecoveryDays,
        tags: { ...context.tags, Name: `${name}-grafana` },
      },
      child,
    );
    const version = new aws.secretsmanager.SecretVersion(
      `${name}-grafana-version`,
      {
        secretId: secret.id,
        secretString: pulumi.secret(
          pulumi.jsonStringify({ user: "admin", password: password.result }),
        ),
      },
      child,
    );
    return { name: secret.name, arn: secret.arn, version };
  }
}

/** Writes logs below one prefix of one bucket; reads nothing. */
function archiveStatements({ chatLogsBucket, dataKeyArn }: MonitoringArgs): Statement[] {
  return [
    {
      Sid: "WriteLogs",
      Effect: "Allow",
      Action: "s3:PutObject",
      Resource: pulumi.interpolate`${chatLogsBucket.arn}/${LOG_PREFIX}*`,
    },
    {
      Sid: "EncryptLogs",
      Effect: "Allow",
      Action: ["kms:GenerateDataKey", "kms:Decrypt"],
      Resource: dataKeyArn,
    },
  ];
}
