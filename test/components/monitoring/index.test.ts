import { beforeAll, describe, expect, test } from "vitest";
import { PRICED } from "../../../components/monitoring/catalog.ts";
import { Monitoring } from "../../../components/monitoring/index.ts";
import type { MonitoringPlan } from "../../../components/monitoring/plan.ts";
import { type Recording, type Registered, record, settled } from "../../support/pulumi-mocks.ts";
import { cluster, context } from "../support.ts";
import { plan } from "./sample.ts";

const RELEASE = "kubernetes:helm.sh/v3:Release";
const EXTERNAL = "kubernetes:external-secrets.io/v1:ExternalSecret";
const PASSWORD = "a-password-that-nobody-may-see";
const KEY = "arn:aws:kms:eu-central-1:123456789012:key/data";

const build = (
  environment: "prod" | "staging" = "prod",
  planned: MonitoringPlan = plan(),
  adopted = false,
) =>
  record(
    () => {
      const { ready, kubernetes, gone, cluster: made } = cluster();
      return new Monitoring("prod-monitoring", {
        context: context(environment),
        plan: planned,
        clusterName: "prod",
        kubernetes,
        ready,
        ...(adopted ? {} : { cluster: made }),
        vpcCidrs: ["10.0.0.0/16"],
        storageClass: "gp3",
        secretStore: "fleet-secrets",
        platformReady: [],
        routers: {
          namespace: "openclaw",
          labels: { "app.kubernetes.io/name": "openclaw-fleet" },
          portName: "http",
        },
        adminTokenSecret: "prod-admin-token",
        chatLogsBucket: { name: "prod-chat-logs", arn: "arn:aws:s3:::prod-chat-logs" },
        dataKeyArn: KEY,
        gone,
      });
    },
    {
      computed: {
        "random:index/randomPassword:RandomPassword": () => ({ result: PASSWORD }),
        "aws:secretsmanager/secret:Secret": (_, name) => ({ name: `${name}-1234` }),
      },
    },
  );

let made: Recording<Monitoring>;
let staging: Recording<Monitoring>;
beforeAll(async () => {
  made = await build();
  staging = await build("staging");
});

const release = (name: string, from = made): Registered =>
  from.one(RELEASE, `prod-monitoring-${name}`);
const kube = (from = made) => from.resources.filter((r) => r.type.startsWith("kubernetes:"));

test("seven charts, in their two namespaces", () => {
  expect(
    made
      .of(RELEASE)
      .map((r) => [r.inputs.name, r.inputs.namespace])
      .sort(),
  ).toEqual(
    [
      ["grafana", "monitoring"],
      ["kube-prometheus-stack", "monitoring"],
      ["loki", "monitoring"],
      ["opentelemetry-collector", "monitoring"],
      ["prometheus-operator-crds", "monitoring"],
      ["tempo", "monitoring"],
      ["vector", "monitoring-agents"],
    ].sort(),
  );
});

test("without traces there is no Tempo", async () => {
  const without = await build("prod", plan({}, { traces: false }));
  expect(without.of(RELEASE).map((r) => r.inputs.name)).not.toContain("tempo");
});

describe("secrets", () => {
  test("no value of a chart, no object and no plain input holds one", () => {
    for (const { name, inputs, secrets, type } of made.resources) {
      if (type === "aws:secretsmanager/secretVersion:SecretVersion") {
        expect(secrets).toEqual(["secretString"]);
        expect(JSON.parse(inputs.secretString)).toEqual({ user: "admin", password: PASSWORD });
      } else {
        expect(JSON.stringify(inputs), name).not.toContain(PASSWORD);
      }
    }
  });

  test("Grafana's password is made, encrypted with the data key, and read by reference", () => {
    expect(made.one("aws:secretsmanager/secret:Secret").inputs).toMatchObject({
      kmsKeyId: KEY,
      recoveryWindowInDays: 30,
    });
    expect(release("grafana").inputs.values.admin).toEqual({
      existingSecret: "grafana-admin",
      userKey: "admin-user",
      passwordKey: "admin-password",
    });
    expect(made.one(EXTERNAL, "prod-monitoring-grafana-secret").inputs.spec).toMatchObject({
      secretStoreRef: { kind: "ClusterSecretStore", name: "fleet-secrets" },
      target: { name: "grafana-admin" },
      data: [
        {
          secretKey: "admin-user",
          remoteRef: { key: "prod-monitoring-grafana-1234", property: "user" },
        },
        {
          secretKey: "admin-password",
          remoteRef: { key: "prod-monitoring-grafana-1234", property: "password" },
        },
      ],
    });
  });

  test("receivers' secrets are names, mounted as files", () => {
    expect(made.one(EXTERNAL, "prod-monitoring-receivers").inputs.spec.data).toEqual([
      { secretKey: "slack-url", remoteRef: { key: "prod-slack" } },
      { secretKey: "pagerduty-key", remoteRef: { key: "prod-pagerduty" } },
      { secretKey: "smtp-password", remoteRef: { key: "prod-smtp" } },
      { secretKey: "webhook-url", remoteRef: { key: "prod-webhook" } },
      { secretKey: "heartbeat-url", remoteRef: { key: "prod-heartbeat" } },
    ]);
    const { alertmanager } = release("stack").inputs.values;
    expect(alertmanager.alertmanagerSpec.secrets).toEqual(["alert-receivers"]);
    expect(JSON.stringify(alertmanager.config)).toContain(
      "/etc/alertmanager/secrets/alert-receivers/slack-url",
    );
  });

  test("without receivers nothing is mounted and no secret is asked for", async () => {
    const silent = await build("prod", plan({}, { alerts: {} }));
    expect(silent.of(EXTERNAL).map((r) => r.name)).not.toContain("prod-monitoring-receivers");
    expect(release("stack", silent).inputs.values.alertmanager.alertmanagerSpec.secrets).toEqual(
      [],
    );
  });

  test("a deleted stack's password is gone at once where nothing is kept", () => {
    expect(staging.one("aws:secretsmanager/secret:Secret").inputs.recoveryWindowInDays).toBe(0);
  });
});

describe("order", () => {
  const depends = (a: Registered, b: Registered) => expect(a.dependencies).toContain(b.urn);

  test("definitions before what is of them; the operator before what its webhook looks at", () => {
    depends(release("stack"), release("crds"));
    for (const kind of ["ServiceMonitor", "PrometheusRule"]) {
      const object = made.one(`kubernetes:monitoring.coreos.com/v1:${kind}`);
      depends(object, release("crds"));
      depends(object, release("stack"));
    }
    for (const chart of ["collector", "vector"]) depends(release(chart), release("crds"));
  });

  test("the log agent waits for its role's association and policy, and for Loki", () => {
    const association = made.one("aws:eks/podIdentityAssociation:PodIdentityAssociation");
    depends(release("vector"), association);
    depends(release("vector"), made.one("aws:iam/rolePolicy:RolePolicy"));
    depends(release("vector"), release("loki"));
    expect(association.inputs).toMatchObject({
      namespace: "monitoring-agents",
      serviceAccount: "vector",
    });
    expect(release("vector").inputs.values.serviceAccount.name).toBe("vector");
  });

  test("Grafana and Alertmanager wait for their secrets", () => {
    depends(release("grafana"), made.one(EXTERNAL, "prod-monitoring-grafana-secret"));
    depends(release("stack"), made.one(EXTERNAL, "prod-monitoring-receivers"));
  });
});

describe("volumes", () => {
  const WITH_VOLUMES = ["stack", "loki", "tempo"] as const;
  const kept = (from: Recording<Monitoring>) => {
    const { prometheus, alertmanager } = release("stack", from).inputs.values;
    return [
      prometheus.prometheusSpec.persistentVolumeClaimRetentionPolicy.whenDeleted,
      alertmanager.alertmanagerSpec.persistentVolumeClaimRetentionPolicy.whenDeleted,
      release("loki", from).inputs.values.singleBinary.persistence.whenDeleted,
      release("tempo", from).inputs.values.persistence.enableStatefulSetAutoDeletePVC,
    ];
  };

  test("an ephemeral stack's go with their charts, and the cluster waits for it", () => {
    expect(kept(staging)).toEqual(["Delete", "Delete", "Delete", true]);
    const gone = staging.one("openclaw:kube:Gone");
    expect(gone.inputs).toMatchObject({
      kind: "PersistentVolumeClaim",
      namespace: "monitoring",
      deadlineSeconds: 600,
    });
    for (const chart of WITH_VOLUMES) {
      expect(release(chart, staging).dependencies).toContain(gone.urn);
    }
    expect(gone.dependencies).toContain(staging.one("aws:eks/accessEntry:AccessEntry").urn);
  });

  test("production keeps them, and waits for none", () => {
    expect(kept(made)).toEqual(["Retain", "Retain", "Retain", false]);
    expect(made.of("openclaw:kube:Gone")).toEqual([]);
  });

  test("a chart with volumes is always deleted by itself, the others go with the cluster", () => {
    const alone = kube(staging)
      .filter((r) => r.options.deletedWith === "")
      .map((r) => r.name);
    expect(alone.sort()).toEqual(WITH_VOLUMES.map((c) => `prod-monitoring-${c}`).sort());
  });

  test("in a cluster that is not ours everything is deleted by itself", async () => {
    const adopted = await build("staging", plan(), true);
    expect(kube(adopted).every((r) => r.options.deletedWith === "")).toBe(true);
  });

  test("a set whose claims change their size is made anew, the old one first", () => {
    expect(release("loki").options).toMatchObject({
      replaceOnChanges: ["values.singleBinary.persistence.size"],
      deleteBeforeReplace: true,
    });
    expect(release("tempo").options.replaceOnChanges).toEqual(["values.persistence.size"]);
    expect(release("stack").options.replaceOnChanges).toEqual([]);
  });

  test("sizes are the plan's", () => {
    const { metrics, logs, traces } = plan();
    const { prometheusSpec } = release("stack").inputs.values.prometheus;
    expect(prometheusSpec).toMatchObject({
      replicas: 2,
      retention: "15d",
      retentionSize: `${metrics.volumeGiB * 0.8}GiB`,
      podAntiAffinity: "hard",
      podAntiAffinityTopologyKey: "topology.kubernetes.io/zone",
    });
    expect(prometheusSpec.storageSpec.volumeClaimTemplate.spec.resources.requests.storage).toBe(
      `${metrics.volumeGiB}Gi`,
    );
    expect(release("loki").inputs.values.singleBinary.persistence.size).toBe(`${logs.volumeGiB}Gi`);
    expect(release("loki").inputs.values.loki.limits_config.retention_period).toBe("72h");
    expect(release("tempo").inputs.values.persistence.size).toBe(`${traces?.volumeGiB}Gi`);
  });
});

describe("logs", () => {
  test("go to Loki and, encrypted, to the bucket", () => {
    const { sinks } = release("vector").inputs.values.customConfig;
    expect(sinks.archive).toMatchObject({
      type: "aws_s3",
      bucket: "prod-chat-logs",
      region: "eu-central-1",
      key_prefix: "logs/date=%F/",
      server_side_encryption: "aws:kms",
      ssekms_key_id: KEY,
    });
    expect(sinks.loki.endpoint).toBe("http://loki.monitoring.svc:3100");
  });

  test("the agent may write below its prefix, and read nothing", () => {
    expect(JSON.parse(made.one("aws:iam/rolePolicy:RolePolicy").inputs.policy).Statement).toEqual([
      {
        Sid: "WriteLogs",
        Effect: "Allow",
        Action: "s3:PutObject",
        Resource: "arn:aws:s3:::prod-chat-logs/logs/*",
      },
      {
        Sid: "EncryptLogs",
        Effect: "Allow",
        Action: ["kms:GenerateDataKey", "kms:Decrypt"],
        Resource: KEY,
      },
    ]);
  });

  test("what Vector fills in survives Helm, which reads the values as a template", () => {
    const { labels } = release("vector").inputs.values.customConfig.sinks.loki;
    // A template action that prints braces: {{ "{{" }} becomes {{.
    const helm = (text: string) => text.replace(/\{\{ "(\{\{|\}\})" \}\}/g, "$1");
    expect(helm(labels.namespace)).toBe("{{ kubernetes.pod_namespace }}");
  });
});

test("routers are read by their Service, with the admin token", () => {
  expect(made.one("kubernetes:monitoring.coreos.com/v1:ServiceMonitor").inputs.spec).toEqual({
    jobLabel: "app.kubernetes.io/name",
    namespaceSelector: { matchNames: ["openclaw"] },
    selector: { matchLabels: { "app.kubernetes.io/name": "openclaw-fleet" } },
    endpoints: [
      {
        port: "http",
        path: "/metrics",
        interval: "30s",
        authorization: {
          type: "Bearer",
          credentials: { name: "fleet-admin-token", key: "token" },
        },
      },
    ],
  });
});

test("six dashboards, each a map that Grafana's sidecar finds, below the limit of a ConfigMap", () => {
  const maps = made.of("kubernetes:core/v1:ConfigMap");
  expect(maps).toHaveLength(6);
  for (const { inputs } of maps) {
    expect(inputs.metadata.labels).toEqual({ grafana_dashboard: "1" });
    const [json] = Object.values(inputs.data) as string[];
    expect(JSON.parse(json ?? "").uid).toBe(inputs.metadata.name);
    expect(json?.length).toBeLessThan(2 ** 20);
  }
});

test("node's own metrics and logs are the only privileged ones", () => {
  const enforced = made
    .of("kubernetes:core/v1:Namespace")
    .map((r) => [
      r.inputs.metadata.name,
      r.inputs.metadata.labels["pod-security.kubernetes.io/enforce"],
    ]);
  expect(enforced.sort()).toEqual([
    ["monitoring", "baseline"],
    ["monitoring-agents", "privileged"],
  ]);
  expect(release("stack").inputs.values["prometheus-node-exporter"].namespaceOverride).toBe(
    "monitoring-agents",
  );
});

test("every object in the cluster has the explicit provider", () => {
  for (const each of kube()) expect(each.provider, each.name).toContain("test-kubernetes");
});

test("where gateways push to, and where Grafana's password lies", async () => {
  expect(await settled(made.value.otlpEndpoint)).toBe("http://otel.monitoring.svc:4318");
  expect(await settled(made.value.grafanaSecretArn)).toContain("prod-monitoring-grafana");
});

test("every type is priced or free with a reason", () => {
  const types = [...made.resources, ...staging.resources]
    .filter((r) => /^prod-monitoring./.test(r.name) && r.type !== RELEASE)
    .map((r) => r.type);
  for (const type of new Set([...types, RELEASE])) expect(Object.keys(PRICED)).toContain(type);
  for (const type of Object.keys(PRICED)) expect([...types, RELEASE]).toContain(type);
});
