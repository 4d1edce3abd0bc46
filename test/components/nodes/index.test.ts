import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { describe, expect, test } from "vitest";
import type { AwsContext } from "../../../components/context.ts";
import { type Environment, LIFETIMES } from "../../../components/lifetime.ts";
import { KARPENTER, PRICED } from "../../../components/nodes/catalog.ts";
import { Nodes, type NodesCluster } from "../../../components/nodes/index.ts";
import { planNodes } from "../../../components/nodes/plan.ts";
import { gpuSettings, karpenterSettings } from "../../../components/nodes/settings.ts";
import { controllerValues } from "../../../components/nodes/values.ts";
import { Gone } from "../../../plugin/resources.ts";
import { type Recording, type Registered, record, settled } from "../../support/pulumi-mocks.ts";
import { chartKeys, unknownValues } from "../fixtures/chart-keys.ts";

const KEY = "arn:aws:kms:eu-central-1:123456789012:key/compute";
const CONTEXT: AwsContext = {
  fleet: "prod",
  region: "eu-central-1",
  accountId: "123456789012",
  zones: [],
  partition: "aws",
  lifetime: LIFETIMES.prod,
  tags: { team: "agents" },
};

class Marker extends pulumi.ComponentResource {
  constructor(name: string) {
    super("test:test:Marker", name);
    this.registerOutputs({});
  }
}

interface Overrides {
  readonly karpenter?: object;
  readonly gpu?: object;
  readonly adopted?: boolean;
  readonly os?: "al2023" | "bottlerocket";
  readonly environment?: Environment;
  readonly context?: Partial<AwsContext>;
}

async function build(over: Overrides = {}): Promise<Recording<Nodes>> {
  const { karpenter = {}, gpu, adopted = false, os = "al2023", environment = "prod" } = over;
  const plan = planNodes({
    fleet: "prod",
    karpenter: karpenterSettings.parse(karpenter),
    ...(gpu ? { gpu: gpuSettings.parse(gpu) } : {}),
    cluster: {
      clusterName: "prod-cluster",
      adopted,
      version: "1.35",
      amiAlias: "al2023@v20260911",
      os,
      architecture: "arm64",
      zonalShift: true,
    },
    gateways: { count: 3, cores: 4, memoryMiB: 7_000, diskMiB: 600 },
  });
  return record(
    () => {
      const whole = new Marker("cluster");
      const cluster: NodesCluster = {
        clusterName: "prod-cluster",
        endpoint: "https://ABC.eks.amazonaws.com",
        securityGroupId: "sg-cluster",
        provider: new k8s.Provider("kubernetes", { kubeconfig: "{}" }),
        ready: [new Marker("ready")],
        deletedWith: adopted ? undefined : whole,
        gone: (name, args, opts) =>
          new Gone(
            name,
            {
              cluster: "prod-cluster",
              endpoint: "https://ABC",
              certificateAuthority: "Q0E=",
              token: { command: "aws", args: [] },
              ...args,
            },
            opts,
          ),
      };
      return new Nodes("prod-nodes", {
        context: { ...CONTEXT, lifetime: LIFETIMES[environment], ...over.context },
        plan,
        cluster,
        subnetIds: ["subnet-a", "subnet-b"],
        keyArn: KEY,
      });
    },
    {
      computed: {
        "aws:iam/role:Role": (_inputs, name) => ({ name }),
        "aws:sqs/queue:Queue": (_inputs, name) => ({ name, url: `https://sqs/${name}` }),
        "aws:cloudwatch/eventRule:EventRule": (_inputs, name) => ({ name }),
        "aws:iam/instanceProfile:InstanceProfile": (_inputs, name) => ({ name }),
      },
    },
  );
}

const RELEASE = "kubernetes:helm.sh/v3:Release";
const CLASS = "kubernetes:karpenter.k8s.aws/v1:EC2NodeClass";
const POOL = "kubernetes:karpenter.sh/v1:NodePool";
const GONE = "openclaw:kube:Gone";
const RULE = "aws:cloudwatch/eventRule:EventRule";
const TARGET = "aws:cloudwatch/eventTarget:EventTarget";
const POLICY = "aws:iam/policy:Policy";
const ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment";
const IDENTITY = "aws:eks/podIdentityAssociation:PodIdentityAssociation";

type Statement = { Sid: string; Action: string | string[]; Resource: unknown; Condition: never };

/** A policy's statements by their ids. */
function statements(resource: Registered): Record<string, Statement> {
  const { Statement: all } = JSON.parse(resource.inputs.policy) as { Statement: Statement[] };
  return Object.fromEntries(all.map((s) => [s.Sid, s]));
}

/** Everything that a resource waits for, directly or through others. */
function before(recording: Recording<unknown>, resource: Registered): Set<string> {
  const seen = new Set<string>();
  const visit = (urn: string) => {
    if (seen.has(urn)) return;
    seen.add(urn);
    recording.resources.find((r) => r.urn === urn)?.dependencies.forEach(visit);
  };
  resource.dependencies.forEach(visit);
  return seen;
}

describe("the order at destroy is the order of waiting, backwards", () => {
  test.each(["gateways", "workers", "gpu"])(
    "%s: pool, then its machines, then their class, then Karpenter and its definitions",
    async (pool) => {
      const recording = await build({ gpu: { limit: 1 } });
      const nodePool = recording.one(POOL, `prod-nodes-${pool}`);
      const gone = recording.one(GONE, `prod-nodes-${pool}-gone`);
      const nodeClass = recording.one(CLASS, `prod-nodes-${pool}-class`);
      const controller = recording.one(RELEASE, "prod-nodes-controller");
      const definitions = recording.one(RELEASE, "prod-nodes-definitions");
      expect(nodePool.dependencies).toContain(gone.urn);
      expect(gone.dependencies).toContain(nodeClass.urn);
      expect(nodeClass.dependencies).toContain(controller.urn);
      expect(controller.dependencies).toContain(definitions.urn);
    },
  );

  test("machines are waited for while role, profile, entry, queue and rules are still there", async () => {
    const recording = await build();
    const waits = before(recording, recording.one(GONE, "prod-nodes-gateways-gone"));
    const needed = recording.resources.filter(
      ({ type }) =>
        type.startsWith("aws:") && !type.endsWith(":EventRule") && !type.endsWith(":Queue"),
    );
    expect(needed.length).toBeGreaterThan(20);
    for (const { urn } of needed) expect(waits).toContain(urn);
  });

  test("each wait is for the machines of its own pool, longer than a drain may take", async () => {
    const recording = await build({ karpenter: { gateways: { graceMinutes: 60 } } });
    const { inputs } = recording.one(GONE, "prod-nodes-gateways-gone");
    expect(inputs).toMatchObject({
      apiVersion: "karpenter.sh/v1",
      kind: "NodeClaim",
      labelSelector: "karpenter.sh/nodepool=gateways",
      deadlineSeconds: 4_200,
    });
  });

  test("a pool is deleted at once: Pulumi does not wait for its machines, we do", async () => {
    const { inputs } = (await build()).one(POOL, "prod-nodes-gateways");
    expect(inputs.metadata).toEqual({
      name: "gateways",
      labels: { "openclaw-fleet/pool": "gateways" },
      annotations: { "pulumi.com/deletionPropagationPolicy": "background" },
    });
  });

  test("charts may go with the cluster; pools, classes and waits never", async () => {
    const recording = await build();
    for (const { options } of recording.of(RELEASE))
      expect(options.deletedWith).toContain("cluster");
    for (const type of [POOL, CLASS, GONE]) {
      for (const { options } of recording.of(type)) expect(options.deletedWith).toBe("");
    }
    const theirs = await build({ adopted: true });
    for (const { options } of theirs.of(RELEASE)) expect(options.deletedWith).toBe("");
  });
});

describe("Karpenter", () => {
  test("is installed after its definitions, in kube-system, at one version", async () => {
    const recording = await build();
    const chart = (name: string) => {
      const { chart: from, version, namespace, skipCrds } = recording.one(RELEASE, name).inputs;
      return { from, version, namespace, skipCrds };
    };
    const common = { version: KARPENTER.version, namespace: "kube-system" };
    expect(chart("prod-nodes-definitions")).toEqual({
      ...common,
      from: "oci://public.ecr.aws/karpenter/karpenter-crd",
    });
    expect(chart("prod-nodes-controller")).toEqual({
      ...common,
      from: "oci://public.ecr.aws/karpenter/karpenter",
      skipCrds: true,
    });
  });

  test("is told cluster, endpoint, queue and region, since its pods cannot ask", async () => {
    const { values } = (await build()).one(RELEASE, "prod-nodes-controller").inputs;
    expect(values.settings).toEqual({
      clusterName: "prod-cluster",
      clusterEndpoint: "https://ABC.eks.amazonaws.com",
      interruptionQueue: "prod-nodes-interruptions",
      enableZonalShift: true,
      isolatedVPC: false,
    });
    expect(values.controller.env).toEqual([{ name: "AWS_REGION", value: "eu-central-1" }]);
    expect(values.replicas).toBe(2);
  });

  test("gets values that its chart knows, of their kind", () => {
    const keys = chartKeys("karpenter");
    const values = controllerValues({
      region: "eu-central-1",
      clusterName: "c",
      endpoint: "https://c",
      queueName: "q",
      zonalShift: true,
      isolated: false,
    });
    expect(unknownValues(values, keys)).toEqual([]);
    expect(keys.version).toBe(KARPENTER.version);
    expect(unknownValues({ settings: { clusterNam: "x" } }, keys)).toHaveLength(1);
  });

  test("waits for its association, every permission, the queue's policy and all five rules", async () => {
    const recording = await build();
    const { dependencies } = recording.one(RELEASE, "prod-nodes-controller");
    const association = recording.one(IDENTITY);
    expect(association.inputs).toMatchObject({
      clusterName: "prod-cluster",
      namespace: "kube-system",
      serviceAccount: "karpenter",
    });
    const attached = recording
      .of(ATTACHMENT)
      .filter((r) => r.name.startsWith("prod-nodes-controller"));
    expect(attached).toHaveLength(6);
    const needed = [
      association,
      ...attached,
      recording.one("aws:iam/rolePolicy:RolePolicy"),
      recording.one("aws:sqs/queuePolicy:QueuePolicy"),
      ...recording.of(TARGET),
    ];
    expect(recording.of(TARGET)).toHaveLength(5);
    for (const { urn } of needed) expect(dependencies).toContain(urn);
  });
});

describe("interruptions", () => {
  test("all five kinds of warning reach the queue", async () => {
    const recording = await build();
    const patterns = recording.of(RULE).map((r) => JSON.parse(r.inputs.eventPattern));
    const ec2 = (type: string) => ({ source: ["aws.ec2"], "detail-type": [type] });
    expect(patterns).toHaveLength(5);
    expect(patterns).toEqual(
      expect.arrayContaining([
        { source: ["aws.health"], "detail-type": ["AWS Health Event"] },
        ec2("EC2 Spot Instance Interruption Warning"),
        ec2("EC2 Instance Rebalance Recommendation"),
        ec2("EC2 Instance State-change Notification"),
        ec2("EC2 Capacity Reservation Instance Interruption Warning"),
      ]),
    );
    const queueArn = "arn:aws:sqs:eu-central-1:123456789012:prod-nodes-interruptions";
    expect(
      recording
        .of(TARGET)
        .map((t) => [t.inputs.rule, t.inputs.arn])
        .toSorted(),
    ).toEqual(
      recording
        .of(RULE)
        .map((r) => [r.name, queueArn])
        .toSorted(),
    );
  });

  test("the queue is encrypted with our key and takes events of these rules only, over TLS", async () => {
    const recording = await build();
    expect(recording.one("aws:sqs/queue:Queue").inputs).toMatchObject({
      kmsMasterKeyId: KEY,
      messageRetentionSeconds: 300,
    });
    const policy = statements(recording.one("aws:sqs/queuePolicy:QueuePolicy"));
    expect(policy.TakeEvents).toMatchObject({
      Effect: "Allow",
      Principal: { Service: "events.amazonaws.com" },
      Action: "sqs:SendMessage",
    });
    expect(policy.TakeEvents?.Condition).toEqual({
      ArnEquals: { "aws:SourceArn": expect.toSatisfy((arns: string[]) => arns.length === 5) },
    });
    expect(policy.RefusePlainHttp).toMatchObject({ Effect: "Deny", Principal: "*" });
  });
});

describe("the controller's rights", () => {
  test("are Karpenter's six policies, each within IAM's 6144 characters", async () => {
    const policies = (await build()).of(POLICY);
    expect(policies.map((p) => p.name.replace("prod-nodes-controller-", "")).sort()).toEqual([
      "eks-integration",
      "iam-integration",
      "interruption",
      "node-lifecycle",
      "resource-discovery",
      "zonal-shift",
    ]);
    for (const { inputs } of policies) expect(inputs.policy.length).toBeLessThan(6_144);
  });

  test("it may pass on the nodes' role and make no instance profile", async () => {
    const recording = await build();
    const actions = recording
      .of(POLICY)
      .flatMap((p) => Object.values(statements(p)).flatMap((s) => s.Action));
    expect(actions.filter((a) => a.startsWith("iam:")).sort()).toEqual([
      "iam:GetInstanceProfile",
      "iam:ListInstanceProfiles",
      "iam:PassRole",
    ]);
    const iam = recording.one(POLICY, "prod-nodes-controller-iam-integration");
    expect(statements(iam).PassNodeRole?.Resource).toBe(
      "arn:aws:iam:eu-central-1:123456789012:prod-nodes-node-role",
    );
  });

  test("it changes and ends only what this cluster's tags say is its own", async () => {
    const recording = await build();
    const life = statements(recording.one(POLICY, "prod-nodes-controller-node-lifecycle"));
    const owner = "kubernetes.io/cluster/prod-cluster";
    for (const sid of ["EndOwn", "TagOwnInstances", "StartFromOwnTemplates"]) {
      expect(life[sid]?.Condition).toMatchObject({
        StringEquals: { [`aws:ResourceTag/${owner}`]: "owned" },
        StringLike: { "aws:ResourceTag/karpenter.sh/nodepool": "*" },
      });
    }
    for (const sid of ["StartTagged", "TagAtStart"]) {
      expect(life[sid]?.Condition).toMatchObject({
        StringEquals: {
          [`aws:RequestTag/${owner}`]: "owned",
          "aws:RequestTag/eks:eks-cluster-name": "prod-cluster",
        },
      });
      for (const arn of (life[sid]?.Resource ?? [""]) as string[]) {
        expect(arn).toMatch(/^arn:aws:ec2:eu-central-1:123456789012:[a-z-]+\/\*$/);
      }
    }
  });

  test("star as a resource stands only where AWS knows no other, and always with a condition or to read", async () => {
    const recording = await build();
    const wide = recording
      .of(POLICY)
      .flatMap((p) => Object.values(statements(p)))
      .filter((s) => s.Resource === "*")
      .map((s) => s.Sid);
    expect(wide.sort()).toEqual(["ListProfiles", "SeePrices", "SeeRegion", "SeeZonalShifts"]);
  });

  test("it may use the key for disks and for the queue, through those services only", async () => {
    const recording = await build();
    const disks = statements(recording.one("aws:iam/rolePolicy:RolePolicy"));
    const queue = statements(recording.one(POLICY, "prod-nodes-controller-interruption"));
    for (const [statement, service] of [
      [disks.EncryptDisks, "ec2"],
      [disks.GrantToDisks, "ec2"],
      [queue.DecryptInterruptions, "sqs"],
    ] as const) {
      expect(statement?.Resource).toBe(KEY);
      expect(statement?.Condition).toMatchObject({
        StringLike: { "kms:ViaService": `${service}.eu-central-1.amazonaws.com*` },
      });
    }
  });
});

describe("nodes", () => {
  test("join under our role, by our instance profile and an entry of their own", async () => {
    const recording = await build();
    expect(recording.one("aws:eks/accessEntry:AccessEntry").inputs).toMatchObject({
      clusterName: "prod-cluster",
      principalArn: "arn:aws:iam:eu-central-1:123456789012:prod-nodes-node-role",
      type: "EC2_LINUX",
    });
    const { spec } = recording.one(CLASS, "prod-nodes-gateways-class").inputs;
    expect(spec.instanceProfile).toBe("prod-nodes-node");
    expect(spec.role).toBeUndefined();
  });

  test("have a pinned image, encrypted disks, tags, no public address, and no metadata for pods", async () => {
    const { spec } = (await build()).one(CLASS, "prod-nodes-gateways-class").inputs;
    expect(spec).toEqual({
      amiSelectorTerms: [{ alias: "al2023@v20260911" }],
      instanceProfile: "prod-nodes-node",
      subnetSelectorTerms: [{ id: "subnet-a" }, { id: "subnet-b" }],
      securityGroupSelectorTerms: [{ id: "sg-cluster" }],
      associatePublicIPAddress: false,
      metadataOptions: {
        httpEndpoint: "enabled",
        httpProtocolIPv6: "disabled",
        httpPutResponseHopLimit: 1,
        httpTokens: "required",
      },
      blockDeviceMappings: [
        {
          deviceName: "/dev/xvda",
          ebs: {
            volumeType: "gp3",
            volumeSize: "32Gi",
            encrypted: true,
            kmsKeyID: KEY,
            deleteOnTermination: true,
          },
        },
      ],
      tags: { team: "agents" },
    });
  });

  test("of Bottlerocket have both disks encrypted", async () => {
    const { spec } = (await build({ os: "bottlerocket" })).one(
      CLASS,
      "prod-nodes-gateways-class",
    ).inputs;
    const disks = spec.blockDeviceMappings.map(
      (d: { deviceName: string; ebs: { volumeSize: string; encrypted: boolean } }) => [
        d.deviceName,
        d.ebs.volumeSize,
        d.ebs.encrypted,
      ],
    );
    expect(disks).toEqual([
      ["/dev/xvda", "4Gi", true],
      ["/dev/xvdb", "32Gi", true],
    ]);
  });

  test("use the CNI's permissions only in a cluster whose CNI may have none of its own", async () => {
    const cni = async (adopted: boolean) =>
      (await build({ adopted }))
        .of(ATTACHMENT)
        .filter((r) => r.inputs.policyArn === "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy")
        .length;
    expect([await cni(false), await cni(true)]).toEqual([0, 1]);
  });
});

describe("an adopted cluster with its own Karpenter", () => {
  test("gets role, class and pools, and nothing of Karpenter", async () => {
    const recording = await build({ adopted: true, karpenter: { install: false } });
    for (const type of [RELEASE, RULE, TARGET, POLICY, IDENTITY, "aws:sqs/queue:Queue"]) {
      expect(recording.of(type), type).toEqual([]);
    }
    expect(
      recording
        .of(POOL)
        .map((r) => r.inputs.metadata.name)
        .sort(),
    ).toEqual(["prod-gateways", "prod-workers"]);
    const { queueName, controllerRoleArn } = recording.value;
    expect([queueName, controllerRoleArn]).toEqual([null, null]);
  });
});

test("no GPU: no pool, class or wait for it", async () => {
  const recording = await build();
  for (const type of [POOL, CLASS, GONE]) expect(recording.of(type)).toHaveLength(2);
  expect(recording.resources.filter((r) => r.name.includes("gpu"))).toEqual([]);
});

test("what runs on the pools waits for them", async () => {
  const recording = await build({ gpu: { limit: 1 } });
  const urns = await Promise.all(recording.value.poolsReady.map((r) => settled(r.urn)));
  expect(urns.toSorted()).toEqual(
    recording
      .of(POOL)
      .map((r) => r.urn)
      .toSorted(),
  );
  const { queueName } = recording.value;
  expect(queueName && (await settled(queueName))).toBe("prod-nodes-interruptions");
});

test("every AWS resource is priced or free with a reason, tagged, bounded and named by role", async () => {
  const boundary = "arn:aws:iam::123456789012:policy/boundary";
  const recording = await build({
    context: { permissionsBoundaryArn: boundary, rolePath: "/fleet/", partition: "aws-cn" },
  });
  for (const { type, name, inputs } of recording.resources) {
    if (!type.startsWith("aws:")) continue;
    expect(PRICED, type).toHaveProperty([type]);
    expect(name.startsWith("prod-nodes-")).toBe(true);
    if (type === "aws:iam/role:Role") {
      expect(inputs).toMatchObject({ permissionsBoundary: boundary, path: "/fleet/" });
    }
    if (!/Attachment|RolePolicy|QueuePolicy|EventTarget/.test(type)) {
      expect(inputs.tags, name).toMatchObject({ team: "agents" });
    }
  }
  for (const { inputs } of recording.of(POLICY))
    expect(inputs.policy).not.toMatch(/arn:aws:(ec2|eks|ssm):/);
});
