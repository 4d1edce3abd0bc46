import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { JOB } from "../watch/catalog.ts";
import { type Dashboard, grafana } from "../watch/dashboards/index.ts";
import { type RuleGroup, ruleFile } from "../watch/rules/index.ts";
import { NAMESPACES } from "./catalog.ts";

type Options = pulumi.CustomResourceOptions;

/** A key of a Secret and where in Secrets Manager its value lies. */
export interface SecretEntry {
  readonly key: string;
  readonly secret: pulumi.Input<string>;
  /** Field of a secret that is JSON; the whole when left out. */
  readonly property?: string;
}

/** A Secret that external-secrets fills. Only names pass through the program, its state and Helm. */
export function externalSecret(
  name: string,
  args: {
    readonly secret: string;
    readonly store: string;
    readonly entries: readonly SecretEntry[];
  },
  opts: Options,
): k8s.apiextensions.CustomResource {
  return new k8s.apiextensions.CustomResource(
    name,
    {
      apiVersion: "external-secrets.io/v1",
      kind: "ExternalSecret",
      metadata: { name: args.secret, namespace: NAMESPACES.monitoring },
      spec: {
        refreshInterval: "1h0m0s",
        secretStoreRef: { kind: "ClusterSecretStore", name: args.store },
        target: { name: args.secret, creationPolicy: "Owner" },
        data: args.entries.map(({ key, secret, property }) => ({
          secretKey: key,
          remoteRef: { key: secret, ...(property ? { property } : {}) },
        })),
      },
    },
    opts,
  );
}

/** The routers' Service as the monitor finds it. */
export interface RouterService {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly portName: string;
}

/** Reads every router, by the token where one is named: routers know no pod by its address. */
export function routerMonitor(
  name: string,
  routers: RouterService,
  tokenSecret: string | null,
  opts: Options,
): k8s.apiextensions.CustomResource {
  return new k8s.apiextensions.CustomResource(
    name,
    {
      apiVersion: "monitoring.coreos.com/v1",
      kind: "ServiceMonitor",
      metadata: { name: JOB, namespace: NAMESPACES.monitoring },
      spec: {
        jobLabel: "app.kubernetes.io/name",
        namespaceSelector: { matchNames: [routers.namespace] },
        selector: { matchLabels: routers.labels },
        endpoints: [
          {
            port: routers.portName,
            path: "/metrics",
            interval: "30s",
            ...(tokenSecret
              ? {
                  authorization: {
                    type: "Bearer",
                    credentials: { name: tokenSecret, key: "token" },
                  },
                }
              : {}),
          },
        ],
      },
    },
    opts,
  );
}

export function prometheusRule(
  name: string,
  groups: readonly RuleGroup[],
  opts: Options,
): k8s.apiextensions.CustomResource {
  return new k8s.apiextensions.CustomResource(
    name,
    {
      apiVersion: "monitoring.coreos.com/v1",
      kind: "PrometheusRule",
      metadata: { name: JOB, namespace: NAMESPACES.monitoring },
      spec: ruleFile(groups),
    },
    opts,
  );
}

/** A dashboard as the ConfigMap that Grafana's sidecar looks for. */
export function dashboardMap(
  name: string,
  dashboard: Dashboard,
  opts: Options,
): k8s.core.v1.ConfigMap {
  return new k8s.core.v1.ConfigMap(
    `${name}-${dashboard.uid}`,
    {
      metadata: {
        name: dashboard.uid,
        namespace: NAMESPACES.monitoring,
        labels: { grafana_dashboard: "1" },
      },
      data: { [`${dashboard.uid}.json`]: JSON.stringify(grafana(dashboard)) },
    },
    opts,
  );
}
