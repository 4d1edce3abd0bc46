import { describe, expect, test } from "vitest";
import { PRICED } from "../../../components/cluster/catalog.ts";
import { Cluster } from "../../../components/cluster/index.ts";
import { planCluster } from "../../../components/cluster/plan.ts";
import { clusterSettings } from "../../../components/cluster/settings.ts";
import type { AwsContext } from "../../../components/context.ts";
import { type Environment, LIFETIMES } from "../../../components/lifetime.ts";
import { type Recording, type Registered, record, settled } from "../../support/pulumi-mocks.ts";

const DEPLOYER = "arn:aws:iam::123456789012:role/deploy";
const ANN = "arn:aws:iam::123456789012:user/ann";
const KEY = "arn:aws:kms:eu-central-1:123456789012:key/compute";
const LOGS_KEY = "arn:aws:kms:eu-central-1:123456789012:key/logs";
const ZONES = ["eu-central-1a", "eu-central-1b", "eu-central-1c"];

const contextOf = (environment: Environment, rest: Partial<AwsContext> = {}): AwsContext => ({
  fleet: "prod",
  region: "eu-central-1",
  accountId: "123456789012",
  zones: ZONES.map((name) => ({ name, id: name })),
  partition: "aws",
  lifetime: LIFETIMES[environment],
  tags: { team: "agents" },
  ...rest,
});

function build(
  settings: object = {},
  environment: Environment = "prod",
  context: Partial<AwsContext> = {},
): Promise<Recording<Cluster>> {
  const parsed = clusterSettings.parse({
    access: { allowlist: ["203.0.113.0/24"] },
    admins: [DEPLOYER, ANN],
    ...settings,
  });
  return record(
    () =>
      new Cluster("prod-cluster", {
        context: contextOf(environment, context),
        plan: planCluster({ fleet: "prod", settings: parsed, zones: 3, vpcCidr: "10.0.0.0/16" }),
        privateSubnetIds: ["subnet-a", "subnet-b", "subnet-c"],
        keyArn: KEY,
        logsKeyArn: LOGS_KEY,
        deployerRoleArn: DEPLOYER,
      }),
    {
      computed: {
        "aws:iam/role:Role": (_inputs, name) => ({ name }),
        "aws:eks/cluster:Cluster": (inputs) => ({
          endpoint: "https://ABC.eks.amazonaws.com",
          certificateAuthority: { data: "Q0E=" },
          vpcConfig: { ...(inputs.vpcConfig as object), clusterSecurityGroupId: "sg-cluster" },
        }),
        "aws:ec2/launchTemplate:LaunchTemplate": () => ({ latestVersion: 7 }),
      },
      lookups: {
        "aws:eks/getCluster:getCluster": ({ name }) => ({
          name,
          arn: `arn:aws:eks:eu-central-1:123456789012:cluster/${name}`,
          endpoint: "https://THEIRS.eks.amazonaws.com",
          version: "1.35",
          certificateAuthorities: [{ data: "VEhFSVJT" }],
          vpcConfig: { clusterSecurityGroupId: "sg-theirs" },
        }),
      },
    },
  );
}

const CLUSTER = "aws:eks/cluster:Cluster";
const ADDON = "aws:eks/addon:Addon";
const GROUP = "aws:eks/nodeGroup:NodeGroup";
const ENTRY = "aws:eks/accessEntry:AccessEntry";
const RIGHTS = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation";
const IDENTITY = "aws:eks/podIdentityAssociation:PodIdentityAssociation";
const ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment";
const PROVIDER = "pulumi:providers:kubernetes";

/** Everything that a resource waits for, directly or through others. */
function before(recording: Recording<unknown>, resource: Registered): Set<string> {
  const seen = new Set<string>();
  const visit = (urn: string) => {
    if (seen.has(urn)) return;
    seen.add(urn);
    for (const next of recording.resources.find((r) => r.urn === urn)?.dependencies ?? []) {
      visit(next);
    }
  };
  for (const urn of resource.dependencies) visit(urn);
  return seen;
}

describe("the control plane", () => {
  test("has exactly these inputs", async () => {
    const { inputs, options } = (await build()).one(CLUSTER);
    expect(inputs).toEqual({
      name: "prod-cluster",
      version: "1.35",
      roleArn: expect.stringContaining("prod-cluster-role"),
      accessConfig: { authenticationMode: "API", bootstrapClusterCreatorAdminPermissions: false },
      bootstrapSelfManagedAddons: false,
      deletionProtection: true,
      enabledClusterLogTypes: ["api", "audit", "authenticator"],
      encryptionConfig: { provider: { keyArn: KEY }, resources: ["secrets"] },
      kubernetesNetworkConfig: { ipFamily: "ipv4", serviceIpv4Cidr: "172.20.0.0/16" },
      upgradePolicy: { supportType: "STANDARD" },
      vpcConfig: {
        subnetIds: ["subnet-a", "subnet-b", "subnet-c"],
        endpointPrivateAccess: true,
        endpointPublicAccess: true,
        publicAccessCidrs: ["203.0.113.0/24"],
      },
      zonalShiftConfig: { enabled: true },
      tags: { team: "agents", Name: "prod-cluster" },
    });
    expect(options).toMatchObject({
      protect: true,
      deleteBeforeReplace: true,
      ignoreChanges: ["vpcConfig.subnetIds"],
    });
  });

  test("private: nothing from the internet, and no list of ranges", async () => {
    const { vpcConfig } = (await build({ access: "private" })).one(CLUSTER).inputs;
    expect(vpcConfig).toEqual({
      subnetIds: ["subnet-a", "subnet-b", "subnet-c"],
      endpointPrivateAccess: true,
      endpointPublicAccess: false,
    });
  });

  test("its log group is ours, made before it, encrypted, and named as EKS would", async () => {
    const recording = await build();
    const logs = recording.one("aws:cloudwatch/logGroup:LogGroup");
    expect(logs.inputs).toEqual({
      name: "/aws/eks/prod-cluster/cluster",
      retentionInDays: 90,
      kmsKeyId: LOGS_KEY,
      tags: { team: "agents", Name: "prod-cluster-logs" },
    });
    expect(recording.one(CLUSTER).dependencies).toContain(logs.urn);
  });

  test("an ephemeral stack protects nothing and can be destroyed without its cluster", async () => {
    const recording = await build({}, "dev");
    const cluster = recording.one(CLUSTER);
    expect(cluster.inputs.deletionProtection).toBe(false);
    expect(cluster.options.protect).toBe(false);
    expect(recording.one(PROVIDER).inputs.deleteUnreachable).toBe("true");
    const prod = (await build()).one(PROVIDER);
    expect(prod.inputs.deleteUnreachable).toBe("false");
  });

  test("an upgrade by one minor changes versions only", async () => {
    const [old, next] = [await build({ version: "1.35" }), await build({ version: "1.36" })];
    const changed = next.resources.flatMap((resource) => {
      const was = old.resources.find((r) => r.urn === resource.urn);
      const keys = Object.keys(resource.inputs).filter(
        (key) => JSON.stringify(resource.inputs[key]) !== JSON.stringify(was?.inputs[key]),
      );
      return keys.map((key) => `${resource.type} ${key}`);
    });
    const urns = ({ resources }: typeof old) => resources.map((r) => r.urn).sort();
    expect(urns(next)).toEqual(urns(old));
    expect(new Set(changed)).toEqual(
      new Set([
        `${CLUSTER} version`,
        `${ADDON} addonVersion`,
        `${GROUP} version`,
        `${GROUP} releaseVersion`,
      ]),
    );
  });
});

const byPrincipal = (resources: Registered[]) =>
  resources.map((r) => r.inputs).sort((a, b) => (a.principalArn < b.principalArn ? -1 : 1));

describe("access", () => {
  test("each administrator has an entry and EKS's policy for the whole cluster", async () => {
    const recording = await build();
    expect(byPrincipal(recording.of(ENTRY))).toEqual(
      [
        ["role-deploy", DEPLOYER],
        ["user-ann", ANN],
      ].map(([key, principalArn]) => ({
        clusterName: "prod-cluster",
        principalArn,
        type: "STANDARD",
        tags: { team: "agents", Name: `prod-cluster-admin-123456789012-${key}` },
      })),
    );
    expect(byPrincipal(recording.of(RIGHTS))).toEqual(
      [DEPLOYER, ANN].map((principalArn) => ({
        clusterName: "prod-cluster",
        principalArn,
        policyArn: "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
        accessScope: { type: "cluster" },
      })),
    );
  });

  test("the provider of Kubernetes objects waits for entries and rights, and so outlives none", async () => {
    const recording = await build();
    const { dependencies } = recording.one(PROVIDER);
    for (const { urn } of [...recording.of(ENTRY), ...recording.of(RIGHTS)]) {
      expect(dependencies).toContain(urn);
    }
  });

  test("only another cluster replaces the provider, and it holds no secret", async () => {
    const { inputs, secrets } = (await build()).one(PROVIDER);
    expect(inputs.clusterIdentifier).toMatch(/^arn:aws:eks:.*prod-cluster-cluster$/);
    expect(secrets).toEqual([]);
    const { users } = JSON.parse(inputs.kubeconfig);
    expect(Object.keys(users[0].user)).toEqual(["exec"]);
    expect(users[0].user.exec.args).toContain(DEPLOYER);
  });
});

describe("addons", () => {
  test("are pinned, and only the CNI stays when it is deleted", async () => {
    const addons = (await build()).of(ADDON);
    const rows = addons.map(({ inputs: i }) => [i.addonName, i.addonVersion, i.preserve]);
    expect(rows).toHaveLength(6);
    expect(rows).toEqual(
      expect.arrayContaining([
        ["vpc-cni", "v1.22.4-eksbuild.3", true],
        ["kube-proxy", "v1.35.3-eksbuild.29", false],
        ["eks-pod-identity-agent", "v1.3.10-eksbuild.3", false],
        ["coredns", "v1.13.2-eksbuild.31", false],
        ["aws-ebs-csi-driver", "v1.65.0-eksbuild.1", false],
        ["metrics-server", "v0.9.0-eksbuild.7", false],
      ]),
    );
    for (const { inputs } of addons) {
      expect(inputs).toMatchObject({
        resolveConflictsOnCreate: "OVERWRITE",
        resolveConflictsOnUpdate: "OVERWRITE",
      });
    }
  });

  test("the CNI hands out prefixes, enforces network policies and tags its interfaces", async () => {
    const { configurationValues } = (await build()).one(ADDON, "prod-cluster-vpc-cni").inputs;
    expect(JSON.parse(configurationValues)).toEqual({
      enableNetworkPolicy: "true",
      env: {
        ENABLE_PREFIX_DELEGATION: "true",
        WARM_PREFIX_TARGET: "1",
        ADDITIONAL_ENI_TAGS: '{"team":"agents"}',
      },
    });
  });

  test("what runs on system nodes tolerates their taint; volumes carry the stack's tags", async () => {
    const recording = await build();
    const of = (addon: string) =>
      JSON.parse(recording.one(ADDON, `prod-cluster-${addon}`).inputs.configurationValues);
    const tolerations = [{ key: "CriticalAddonsOnly", operator: "Exists" }];
    expect(of("coredns")).toEqual({ replicaCount: 2, tolerations });
    expect(of("metrics-server")).toEqual({ replicas: 2, tolerations });
    expect(of("aws-ebs-csi-driver")).toEqual({
      controller: { extraVolumeTags: { team: "agents" }, tolerations },
      node: { tolerateAllTaints: true },
    });
    const [taint] = recording.one(GROUP).inputs.taints;
    expect(taint).toEqual({ key: "CriticalAddonsOnly", value: "true", effect: "NO_SCHEDULE" });
  });

  test.each(["vpc-cni", "kube-proxy", "eks-pod-identity-agent"])(
    "the node group waits for %s",
    async (addon) => {
      const recording = await build();
      expect(recording.one(GROUP).dependencies).toContain(
        recording.one(ADDON, `prod-cluster-${addon}`).urn,
      );
    },
  );

  test.each(["coredns", "aws-ebs-csi-driver", "metrics-server"])(
    "%s waits for the node group",
    async (addon) => {
      const recording = await build();
      expect(recording.one(ADDON, `prod-cluster-${addon}`).dependencies).toContain(
        recording.one(GROUP).urn,
      );
    },
  );

  test.each([
    ["vpc-cni", "aws-node", ["policy/AmazonEKS_CNI_Policy"]],
    [
      "aws-ebs-csi-driver",
      "ebs-csi-controller-sa",
      ["policy/service-role/AmazonEBSCSIDriverPolicy"],
    ],
  ])("%s waits for its association and every permission", async (addon, account, policies) => {
    const recording = await build();
    const { dependencies } = recording.one(ADDON, `prod-cluster-${addon}`);
    const association = recording.one(IDENTITY, `prod-cluster-${addon}-association`);
    expect(association.inputs).toMatchObject({
      clusterName: "prod-cluster",
      namespace: "kube-system",
      serviceAccount: account,
    });
    expect(dependencies).toContain(association.urn);
    const attached = recording
      .of(ATTACHMENT)
      .filter((r) => String(r.inputs.role).startsWith(`prod-cluster-${addon}-`));
    expect(attached.map((r) => r.inputs.policyArn)).toEqual(
      policies.map((policy) => `arn:aws:iam::aws:${policy}`),
    );
    for (const { urn } of attached) expect(dependencies).toContain(urn);
  });

  test("the EBS driver may use the volumes' key, and nothing else", async () => {
    const recording = await build();
    const policy = recording.one("aws:iam/rolePolicy:RolePolicy");
    const statements = JSON.parse(policy.inputs.policy).Statement;
    expect(new Set(statements.map((s: { Resource: string }) => s.Resource))).toEqual(
      new Set([KEY]),
    );
    expect(recording.one(ADDON, "prod-cluster-aws-ebs-csi-driver").dependencies).toContain(
      policy.urn,
    );
  });

  test("a role is taken on by one service account of this cluster only", async () => {
    const role = (await build()).one("aws:iam/role:Role", "prod-cluster-vpc-cni-role");
    expect(JSON.parse(role.inputs.assumeRolePolicy).Statement).toEqual([
      {
        Effect: "Allow",
        Principal: { Service: "pods.eks.amazonaws.com" },
        Action: ["sts:AssumeRole", "sts:TagSession"],
        Condition: {
          StringEquals: {
            "aws:RequestTag/eks-cluster-name": "prod-cluster",
            "aws:RequestTag/kubernetes-namespace": "kube-system",
            "aws:RequestTag/kubernetes-service-account": "aws-node",
          },
        },
      },
    ]);
  });
});

describe("system nodes", () => {
  test("are on demand, pinned, replaced one at a time", async () => {
    const { inputs } = (await build()).one(GROUP);
    expect(inputs).toMatchObject({
      amiType: "AL2023_ARM_64_STANDARD",
      releaseVersion: "1.35.7-20260911",
      version: "1.35",
      capacityType: "ON_DEMAND",
      scalingConfig: { minSize: 3, desiredSize: 3, maxSize: 4 },
      updateConfig: { maxUnavailable: 1, updateStrategy: "DEFAULT" },
      nodeRepairConfig: { enabled: true },
      subnetIds: ["subnet-a", "subnet-b", "subnet-c"],
      launchTemplate: { version: "7" },
    });
    expect(inputs.diskSize).toBeUndefined();
    expect(inputs.remoteAccess).toBeUndefined();
  });

  test("keep pods from the instance's credentials, encrypt their disk, tag what they bring", async () => {
    const { inputs } = (await build()).one("aws:ec2/launchTemplate:LaunchTemplate");
    expect(inputs.metadataOptions).toEqual({
      httpEndpoint: "enabled",
      httpTokens: "required",
      httpPutResponseHopLimit: 1,
      instanceMetadataTags: "disabled",
    });
    expect(inputs.blockDeviceMappings).toEqual([
      {
        deviceName: "/dev/xvda",
        ebs: {
          volumeType: "gp3",
          volumeSize: 30,
          encrypted: "true",
          kmsKeyId: KEY,
          deleteOnTermination: "true",
        },
      },
    ]);
    const tags = { team: "agents", Name: "prod-cluster-system" };
    expect(inputs.tagSpecifications).toEqual(
      ["instance", "volume", "network-interface"].map((resourceType) => ({ resourceType, tags })),
    );
  });

  test("the group waits for every policy of its role", async () => {
    const recording = await build();
    const attached = recording
      .of(ATTACHMENT)
      .filter((r) => String(r.inputs.role).startsWith("prod-cluster-node-role"));
    expect(attached.map((r) => r.inputs.policyArn).sort()).toEqual([
      "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly",
      "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
      "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
    ]);
    const { dependencies } = recording.one(GROUP);
    for (const { urn } of attached) expect(dependencies).toContain(urn);
  });

  test("the CNI's role and association go only after the nodes are gone", async () => {
    const recording = await build();
    const waits = before(recording, recording.one(GROUP));
    for (const type of [IDENTITY, ATTACHMENT, "aws:iam/role:Role"]) {
      const parts = recording.of(type).filter((r) => r.name.startsWith("prod-cluster-vpc-cni"));
      expect(parts.length).toBeGreaterThan(0);
      for (const { urn } of parts) expect(waits).toContain(urn);
    }
  });
});

describe("an adopted cluster", () => {
  const adopted = () => build({ adopt: { name: "theirs" }, access: "private" });

  test("registers nothing but the provider", async () => {
    const recording = await adopted();
    expect(recording.resources.map((r) => r.type).sort()).toEqual([
      "openclaw-fleet:compute:Cluster",
      PROVIDER,
    ]);
    expect(recording.value.deletedWith).toBeUndefined();
    expect(await settled(recording.value.securityGroupId)).toBe("sg-theirs");
    expect(await settled(recording.value.certificateAuthority)).toBe("VEhFSVJT");
    expect(recording.value.token.args).toContain("theirs");
  });

  test("gets the addon and the entries that the settings name", async () => {
    const recording = await build({
      adopt: { name: "theirs", addons: ["aws-ebs-csi-driver"], accessEntries: true },
    });
    expect(recording.of(ADDON).map((r) => r.inputs.addonName)).toEqual(["aws-ebs-csi-driver"]);
    expect(recording.of(ENTRY)).toHaveLength(2);
    expect([...recording.of(CLUSTER), ...recording.of(GROUP)]).toEqual([]);
  });
});

test("Kubernetes objects wait for access, nodes and every addon", async () => {
  const recording = await build();
  const names = recording.value.ready.map((r) => (r as unknown as { __name: string }).__name);
  const wanted = [
    ...recording.of(ADDON),
    ...recording.of(GROUP),
    ...recording.of(ENTRY),
    ...recording.of(RIGHTS),
  ];
  expect(new Set(names)).toEqual(new Set(wanted.map((r) => r.name)));
});

test("roles carry the account's boundary and path, and ARNs the partition", async () => {
  const boundary = "arn:aws-us-gov:iam::123456789012:policy/boundary";
  const recording = await build({}, "prod", {
    partition: "aws-us-gov",
    permissionsBoundaryArn: boundary,
    rolePath: "/fleet/",
  });
  const roles = recording.of("aws:iam/role:Role");
  expect(roles).toHaveLength(4);
  for (const { inputs } of roles) {
    expect(inputs).toMatchObject({ permissionsBoundary: boundary, path: "/fleet/" });
  }
  const arns = [
    ...recording.of(ATTACHMENT).map((r) => r.inputs.policyArn),
    ...recording.of(RIGHTS).map((r) => r.inputs.policyArn),
  ];
  for (const arn of arns) expect(arn).toMatch(/^arn:aws-us-gov:/);
});

test("every AWS resource of it is priced or free with a reason, tagged, and named by role", async () => {
  const recording = await build();
  for (const { type, name, parent, inputs } of recording.resources) {
    if (!type.startsWith("aws:")) continue;
    expect(PRICED, type).toHaveProperty([type]);
    expect(name.startsWith("prod-cluster-")).toBe(true);
    expect(parent).toContain("openclaw-fleet:compute:Cluster");
    const [module, resource] = type.slice(4).split("/") as [string, string];
    if (!/rolePolicy|accessPolicy/i.test(resource)) {
      expect(inputs.tags, `${module} ${name}`).toMatchObject({ team: "agents" });
    }
  }
});
