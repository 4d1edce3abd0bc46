import { beforeAll, describe, expect, test } from "vitest";
import { RouterBinding } from "../../../components/platform/binding.ts";
import { PRICED } from "../../../components/platform/catalog.ts";
import { Platform } from "../../../components/platform/index.ts";
import { planPlatform } from "../../../components/platform/plan.ts";
import { type Recording, type Registered, record } from "../../support/pulumi-mocks.ts";
import { cluster, context } from "../support.ts";

const RELEASE = "kubernetes:helm.sh/v3:Release";
const GROUP = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/prod-edge/1234";

/** AWS answers with a role's name. */
const NAMES = {
  computed: { "aws:iam/role:Role": (_: unknown, name: string) => ({ name: `${name}-1234` }) },
};

interface Built {
  platform: Platform;
  binding: RouterBinding;
}

const build = (environment: "prod" | "staging" = "prod", gpu: "none" | "al2023" = "none") =>
  record((): Built => {
    const { ready, kubernetes, gone, cluster: made } = cluster();
    const ctx = context(environment);
    const platform = new Platform("prod-platform", {
      context: ctx,
      plan: planPlatform({ nodes: 3, gpu }),
      clusterName: "prod",
      vpcId: "vpc-1",
      vpcCidrs: ["10.0.0.0/16"],
      publicCidrs: ["10.0.0.0/24", "10.0.1.0/24"],
      routerPort: 18789,
      computeKeyArn: "arn:aws:kms:eu-central-1:123456789012:key/compute",
      dataKeyArn: "arn:aws:kms:eu-central-1:123456789012:key/data",
      secretArns: ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-1"],
      secretNamespaces: ["monitoring"],
      monitoringNamespace: "monitoring",
      kubernetes,
      ready,
      cluster: made,
    });
    const binding = new RouterBinding("prod-routers", {
      context: ctx,
      controllerRole: platform.controllerRole,
      bindingReady: platform.bindingReady,
      targetGroupArn: GROUP,
      edgeSecurityGroupId: "sg-edge",
      nodeSecurityGroupId: "sg-nodes",
      vpcId: "vpc-1",
      routerPort: 18789,
      kubernetes,
      gone,
    });
    return { platform, binding };
  }, NAMES);

let made: Recording<Built>;
beforeAll(async () => {
  made = await build();
});

const release = (name: string): Registered => made.one(RELEASE, `prod-platform-${name}`);
const kube = () => made.resources.filter((r) => r.type.startsWith("kubernetes:"));
const own = () => made.resources.filter((r) => /^prod-(platform|routers)/.test(r.name));
const policyOf = (name: string) =>
  JSON.parse(made.one("aws:iam/rolePolicy:RolePolicy", name).inputs.policy).Statement;

test("four controllers, the storage class and the fleet's namespaces; no device plugin without GPUs", () => {
  expect(
    made
      .of(RELEASE)
      .map((r) => [r.inputs.name, r.inputs.version])
      .sort(),
  ).toEqual([
    ["aws-load-balancer-controller", "3.6.0"],
    ["cert-manager", "v1.21.1"],
    ["external-secrets", "2.9.0"],
    ["keda", "2.20.2"],
  ]);
  expect(
    made
      .of("kubernetes:core/v1:Namespace")
      .map((r) => r.inputs.metadata.name)
      .sort(),
  ).toEqual(["openclaw", "platform"]);
});

test("the device plugin comes with GPU nodes of AL2023, in a namespace of its own", async () => {
  const withGpu = await build("prod", "al2023");
  expect(withGpu.one(RELEASE, "prod-platform-device-plugin").inputs.namespace).toBe("gpu");
  expect(
    withGpu.one("kubernetes:core/v1:Namespace", "prod-platform-gpu").inputs.metadata.labels,
  ).toMatchObject({ "pod-security.kubernetes.io/enforce": "privileged" });
});

describe("the load balancer controller", () => {
  test("is told region and VPC, mutates no Service and keeps its certificate", () => {
    expect(release("load-balancer").inputs.values).toMatchObject({
      clusterName: "prod",
      region: "eu-central-1",
      vpcId: "vpc-1",
      enableServiceMutatorWebhook: false,
      keepTLSSecret: true,
      createIngressClassResource: false,
      replicaCount: 2,
    });
  });

  test("may read targets everywhere and change those of our group only", () => {
    const [read] = policyOf("prod-platform-load-balancer-policy");
    expect(read.Action.every((action: string) => /:Describe/.test(action))).toBe(true);
    expect(policyOf("prod-routers-targets")).toEqual([
      {
        Sid: "ChangeTargets",
        Effect: "Allow",
        Action: ["elasticloadbalancing:RegisterTargets", "elasticloadbalancing:DeregisterTargets"],
        Resource: GROUP,
      },
    ]);
    expect(made.one("aws:iam/rolePolicy:RolePolicy", "prod-routers-targets").inputs.role).toBe(
      "prod-platform-load-balancer-role-1234",
    );
  });
});

test("a chart with a role waits for its association and its policies", () => {
  for (const [name, role] of [
    ["load-balancer", "load-balancer"],
    ["secrets", "secrets"],
  ] as const) {
    const { dependencies } = release(name);
    const association = made.one(
      "aws:eks/podIdentityAssociation:PodIdentityAssociation",
      `prod-platform-${role}-association`,
    );
    const policy = made.one("aws:iam/rolePolicy:RolePolicy", `prod-platform-${role}-policy`);
    expect(dependencies).toEqual(expect.arrayContaining([association.urn, policy.urn]));
    expect(association.inputs).toMatchObject({ clusterName: "prod", namespace: "platform" });
    expect(association.dependencies).toContain(made.one("aws:eks/accessEntry:AccessEntry").urn);
    expect(release(name).inputs.values.serviceAccount.name).toBe(association.inputs.serviceAccount);
  }
});

describe("the binding", () => {
  const binding = () => made.one("kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding");

  test("names the group, the Service and its port", () => {
    expect(binding().inputs.spec).toEqual({
      serviceRef: { name: "routers", port: 18789 },
      targetGroupARN: GROUP,
      targetType: "ip",
      ipAddressType: "ipv4",
      vpcID: "vpc-1",
    });
    expect(made.one("kubernetes:core/v1:Service").inputs).toMatchObject({
      metadata: { name: "routers", namespace: "openclaw" },
      spec: { ports: [{ name: "http", port: 18789 }] },
    });
  });

  test("is gone, and waited for, before the controller and its rights", () => {
    const gone = made.one("openclaw:kube:Gone");
    const right = made.one("aws:iam/rolePolicy:RolePolicy", "prod-routers-targets");
    const controller = release("load-balancer").urn;
    expect(binding().dependencies).toEqual(
      expect.arrayContaining([gone.urn, right.urn, controller]),
    );
    expect(gone.dependencies).toEqual(expect.arrayContaining([controller, right.urn]));
    expect(gone.inputs).toMatchObject({ kind: "TargetGroupBinding", namespace: "openclaw" });
  });

  test("is deleted by itself, never with the cluster", () => {
    expect(binding().options.deletedWith).toBe("");
    expect(made.one("openclaw:kube:Gone").options.deletedWith).toBe("");
  });

  test("the balancer reaches the routers' port, and nothing else is opened", () => {
    const rules = made.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule");
    expect(rules).toHaveLength(1);
    expect(rules[0]?.inputs).toMatchObject({
      securityGroupId: "sg-nodes",
      referencedSecurityGroupId: "sg-edge",
      ipProtocol: "tcp",
      fromPort: 18789,
      toPort: 18789,
    });
  });
});

test("secrets: the fleet's own and the named ones, opened only through Secrets Manager", () => {
  expect(policyOf("prod-platform-secrets-policy")).toEqual([
    {
      Sid: "ReadSecrets",
      Effect: "Allow",
      Action: ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"],
      Resource: [
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod-*",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-1",
      ],
    },
    {
      Sid: "OpenSecrets",
      Effect: "Allow",
      Action: "kms:Decrypt",
      Resource: "arn:aws:kms:eu-central-1:123456789012:key/data",
      Condition: { StringLike: { "kms:ViaService": "secretsmanager.eu-central-1.*" } },
    },
  ]);
  const store = made.one("kubernetes:external-secrets.io/v1:ClusterSecretStore");
  expect(store.inputs.spec).toEqual({
    conditions: [{ namespaces: ["openclaw", "monitoring"] }],
    provider: { aws: { service: "SecretsManager", region: "eu-central-1" } },
  });
  expect(store.dependencies).toContain(release("secrets").urn);
});

test("volumes are encrypted with our key, tagged, and made where their pod starts", () => {
  expect(made.one("kubernetes:storage.k8s.io/v1:StorageClass")).toMatchObject({
    inputs: {
      provisioner: "ebs.csi.aws.com",
      parameters: {
        type: "gp3",
        encrypted: "true",
        kmsKeyId: "arn:aws:kms:eu-central-1:123456789012:key/compute",
        tagSpecification_1: "fleet=prod",
        tagSpecification_2: "owner=ops",
      },
      volumeBindingMode: "WaitForFirstConsumer",
      allowVolumeExpansion: true,
    },
    options: { deleteBeforeReplace: true },
  });
});

test("the fleet's CA is signed by itself, and its Issuer comes after it", () => {
  const ca = made.one("kubernetes:cert-manager.io/v1:Certificate");
  const issuer = made.one("kubernetes:cert-manager.io/v1:Issuer");
  expect(ca.inputs.spec).toMatchObject({ isCA: true, secretName: "fleet-ca" });
  expect(issuer.inputs.spec).toEqual({ ca: { secretName: "fleet-ca" } });
  expect(issuer.dependencies).toContain(ca.urn);
  expect(ca.dependencies).toContain(release("certificates").urn);
});

test("certificates outlive their chart where data is kept, and go with it elsewhere", async () => {
  expect(release("certificates").inputs.values.crds).toEqual({ enabled: true, keep: true });
  const staging = await build("staging");
  expect(staging.one(RELEASE, "prod-platform-certificates").inputs.values.crds.keep).toBe(false);
});

test("a namespace lets in only what is named", () => {
  const rules = made.of("kubernetes:networking.k8s.io/v1:NetworkPolicy");
  const fleet = rules.filter((r) => r.inputs.metadata.namespace === "openclaw");
  expect(fleet.map((r) => r.inputs.metadata.name).sort()).toEqual([
    "from-balancer",
    "from-inside",
    "from-monitoring",
  ]);
  for (const { inputs } of rules) {
    expect(inputs.spec).toMatchObject({ podSelector: {}, policyTypes: ["Ingress"] });
    expect(JSON.stringify(inputs)).not.toContain("0.0.0.0/0");
  }
  expect(
    fleet.find((r) => r.inputs.metadata.name === "from-balancer")?.inputs.spec.ingress,
  ).toEqual([
    {
      from: [{ ipBlock: { cidr: "10.0.0.0/24" } }, { ipBlock: { cidr: "10.0.1.0/24" } }],
      ports: [{ protocol: "TCP", port: 18789 }],
    },
  ]);
});

test("every object in the cluster has the explicit provider and waits for the caller's access", () => {
  const access = made.one("aws:eks/accessEntry:AccessEntry").urn;
  const byUrn = new Map(made.resources.map((r) => [r.urn, r]));
  const waits = (r: Registered): boolean =>
    r.dependencies.some((urn) => urn === access || waits(byUrn.get(urn) as Registered));
  expect(kube().length).toBeGreaterThan(15);
  for (const each of kube()) {
    expect(each.provider, each.name).toContain("test-kubernetes");
    expect(waits(each), each.name).toBe(true);
  }
});

test("what has no effect outside the cluster goes with it", () => {
  const kept = kube().filter((r) => r.options.deletedWith === "");
  expect(kept.map((r) => r.type).sort()).toEqual([
    "kubernetes:core/v1:Service",
    "kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding",
  ]);
});

test("roles have the boundary and the path; what can be tagged is", () => {
  for (const { inputs } of made.of("aws:iam/role:Role")) {
    expect(inputs).toMatchObject({
      permissionsBoundary: "arn:aws:iam::123456789012:policy/boundary",
      path: "/fleet/",
      tags: { fleet: "prod", owner: "ops" },
    });
  }
});

test("every type is priced or free with a reason, and none is priced in vain", () => {
  const types = new Set(
    own()
      .map((r) => r.type)
      .filter((type) => !type.startsWith("openclaw-fleet:")),
  );
  expect([...types].sort()).toEqual(Object.keys(PRICED).sort());
});
