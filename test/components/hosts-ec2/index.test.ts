import * as pulumi from "@pulumi/pulumi";
import { describe, expect, test } from "vitest";
import { PRICED } from "../../../components/hosts-ec2/catalog.ts";
import {
  type HostSteps,
  HostsEc2,
  type HostsEc2Args,
} from "../../../components/hosts-ec2/index.ts";
import { type HostsNeed, planHosts } from "../../../components/hosts-ec2/plan.ts";
import { LIFETIMES } from "../../../components/lifetime.ts";
import { record, settled } from "../../support/pulumi-mocks.ts";
import { context } from "../edge/needs.ts";
import { needOf } from "./needs.ts";

const INSTANCE = "aws:ec2/instance:Instance";
const INTERFACE = "aws:ec2/networkInterface:NetworkInterface";
const ASSOCIATION = "aws:ec2/eipAssociation:EipAssociation";
const EIP = "aws:ec2/eip:Eip";
const VOLUME = "aws:ebs/volume:Volume";
const ATTACHMENT = "aws:ec2/volumeAttachment:VolumeAttachment";
const POLICY = "aws:iam/rolePolicy:RolePolicy";
const INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule";
const KEY = "arn:aws:kms:eu-central-1:123456789012:key/1";
const DATA_KEY = "arn:aws:kms:eu-central-1:123456789012:key/2";

const balancer = {
  securityGroupId: "sg-edge",
  targetGroupArn: "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/x/1",
  addresses: {},
};
const direct = {
  securityGroupId: "sg-edge",
  targetGroupArn: null,
  addresses: { a: { allocationId: "eipalloc-a" }, b: { allocationId: "eipalloc-b" } },
};

const asked: string[] = [];
function build(
  args: Partial<HostsEc2Args> = {},
  changes: Partial<HostsNeed> = {},
  settings: Parameters<typeof needOf>[1] = {},
  preview = false,
) {
  return record(
    () =>
      new HostsEc2("prod-hosts", {
        context,
        plan: planHosts(needOf(changes, settings)),
        vpcId: "vpc-1",
        subnetIds: ["subnet-a", "subnet-b", "subnet-c"],
        keyArn: KEY,
        replicas: { bucketArn: "arn:aws:s3:::replicas", keyArn: DATA_KEY },
        front: balancer,
        ...args,
      }),
    {
      preview,
      lookups: {
        "aws:ssm/getParameter:getParameter": ({ name }) => {
          asked.push(String(name));
          return { insecureValue: "ami-newest" };
        },
      },
      computed: {
        [INSTANCE]: () => ({ availabilityZone: "eu-central-1a" }),
        [INTERFACE]: (_inputs, name) => ({ privateIp: `10.0.0.${name.length}` }),
      },
    },
  );
}

type Made = Awaited<ReturnType<typeof build>>;

describe("a host", () => {
  test("is as closed as its rules say", async () => {
    const { inputs } = (await build()).one(INSTANCE, "prod-hosts-b");
    expect(inputs).toMatchObject({
      ami: "ami-newest",
      instanceType: "t4g.medium",
      primaryNetworkInterface: { networkInterfaceId: "prod-hosts-b-interface-id" },
      metadataOptions: {
        httpEndpoint: "enabled",
        httpTokens: "required",
        httpPutResponseHopLimit: 1,
      },
      rootBlockDevice: {
        volumeType: "gp3",
        volumeSize: 20,
        encrypted: true,
        kmsKeyId: KEY,
        deleteOnTermination: true,
        tags: { fleet: "prod", Name: "prod-hosts-b-root" },
      },
      creditSpecification: { cpuCredits: "unlimited" },
      userDataReplaceOnChange: false,
      tags: { fleet: "prod", Name: "prod-hosts-b" },
    });
    expect(inputs.keyName).toBeUndefined();
    // It knows its volume.
    expect(inputs.userData).toContain("Amazon_Elastic_Block_Store_prodhosts-b-state-id");
  });

  test("asks for credits only where its class has them", async () => {
    const made = await build({}, {}, { burstable: false });
    expect(made.one(INSTANCE, "prod-hosts-a").inputs.creditSpecification).toBeUndefined();
  });

  test("leaves to its interface what EC2 takes only once", async () => {
    const { inputs } = (await build({ front: direct }, { publicHosts: true })).one(
      INSTANCE,
      "prod-hosts-a",
    );
    for (const other of [
      "associatePublicIpAddress",
      "privateIp",
      "subnetId",
      "vpcSecurityGroupIds",
    ]) {
      expect(inputs[other], other).toBeUndefined();
    }
  });

  test("is called after its node, whatever their number", async () => {
    const names = (made: Made) => made.of(INSTANCE).map(({ name }) => name);
    expect(names(await build())).toEqual(["prod-hosts-a", "prod-hosts-b", "prod-hosts-c"]);
    expect(names(await build({}, { nodes: ["a", "b"] }))).toEqual(["prod-hosts-a", "prod-hosts-b"]);
  });

  test("keeps the image it was made with", async () => {
    const { options } = (await build()).one(INSTANCE, "prod-hosts-a");
    expect([...options.ignoreChanges].sort()).toEqual(["ami", "userData"]);
    expect(options.deleteBeforeReplace).toBe(true);
  });

  test("follows an image that somebody names, without asking for the newest", async () => {
    asked.length = 0;
    const made = await build({}, {}, { ami: "ami-0123456789abcdef0" });
    const { inputs, options } = made.one(INSTANCE, "prod-hosts-a");
    expect(inputs.ami).toBe("ami-0123456789abcdef0");
    expect(options.ignoreChanges).not.toContain("ami");
    expect(asked).toEqual([]);
  });

  test.each([
    ["arm64", "arm64"],
    ["x86_64", "amd64"],
  ] as const)("%s takes an image for it", async (architecture, part) => {
    asked.length = 0;
    await build({}, {}, { architecture });
    expect(asked).toEqual([
      `/aws/service/canonical/ubuntu/server/24.04/stable/current/${part}/hvm/ebs-gp3/ami-id`,
    ]);
  });

  test("is registered behind the balancer on the routers' port", async () => {
    const { inputs } = (await build()).one(
      "aws:lb/targetGroupAttachment:TargetGroupAttachment",
      "prod-hosts-a-target",
    );
    expect(inputs).toEqual({
      targetGroupArn: balancer.targetGroupArn,
      targetId: "prod-hosts-a-id",
      port: 18_789,
    });
  });

  test("comes out in the form that target hosts takes", async () => {
    const { hosts } = (await build()).value;
    const [first] = hosts;
    expect(hosts.map(({ name }) => name)).toEqual(["a", "b", "c"]);
    expect(first?.user).toBe("ubuntu");
    expect(await settled(first?.address as pulumi.Output<string>)).toBe("10.0.0.22");
    expect(await settled(first?.instanceId as pulumi.Output<string>)).toBe("prod-hosts-a-id");
    expect(await settled(pulumi.output(first?.labels))).toEqual({
      zone: "eu-central-1a",
      instanceType: "t4g.medium",
      architecture: "arm64",
    });
  });
});

describe("the interface of a host", () => {
  test("says where it is, and stays there", async () => {
    const { inputs, options } = (await build()).one(INTERFACE, "prod-hosts-b-interface");
    expect(inputs).toEqual({
      subnetId: "subnet-b",
      securityGroups: ["prod-hosts-sg-id"],
      description: "Node b of the fleet prod",
      tags: { fleet: "prod", Name: "prod-hosts-b-interface" },
    });
    expect(options.ignoreChanges).toEqual(["subnetId"]);
  });

  test("does not depend on any machine, so that every plan knows its address before", async () => {
    const made = await build({ steps: () => steps });
    const machines = made.of(INSTANCE).map(({ urn }) => urn);
    for (const type of [INTERFACE, ASSOCIATION, EIP]) {
      for (const { urn, name } of made.of(type)) {
        expect(
          [...waitsFor(made, urn)].filter((each) => machines.includes(each)),
          name,
        ).toEqual([]);
      }
    }
  });

  test("gives its address to the steps, all before the first of them", async () => {
    const seen: string[][] = [];
    const made = await build({
      steps: (addresses) => {
        seen.push(Object.keys(addresses));
        return {};
      },
    });
    expect(seen).toEqual([["a", "b", "c"]]);
    const { addresses } = made.value;
    expect(await settled(addresses.b as pulumi.Output<string>)).toBe("10.0.0.22");
  });

  test("without a balancer has its fixed address and lets clients in, where there is one", async () => {
    const made = await build({ front: direct }, { publicHosts: false });
    expect(made.of("aws:lb/targetGroupAttachment:TargetGroupAttachment")).toEqual([]);
    expect(made.of(ASSOCIATION).map(({ name, inputs }) => [name, inputs])).toEqual([
      [
        "prod-hosts-a-address",
        { allocationId: "eipalloc-a", networkInterfaceId: "prod-hosts-a-interface-id" },
      ],
      [
        "prod-hosts-b-address",
        { allocationId: "eipalloc-b", networkInterfaceId: "prod-hosts-b-interface-id" },
      ],
    ]);
    expect(made.one(INTERFACE, "prod-hosts-a-interface").inputs.securityGroups).toEqual([
      "prod-hosts-sg-id",
      "sg-edge",
    ]);
  });

  test("in a public subnet has a public address of its own, unless the front has one for it", async () => {
    const made = await build({ front: direct }, { publicHosts: true });
    expect(made.of(EIP).map(({ name, inputs }) => [name, inputs])).toEqual([
      [
        "prod-hosts-c-public",
        {
          domain: "vpc",
          networkInterface: "prod-hosts-c-interface-id",
          tags: { fleet: "prod", Name: "prod-hosts-c-public" },
        },
      ],
    ]);
    const behind = await build({}, { publicHosts: true });
    expect(behind.of(EIP)).toHaveLength(3);
    const closed = await build({}, { publicHosts: false });
    expect(closed.of(EIP)).toEqual([]);
  });

  test("is reachable before its machine starts", async () => {
    const made = await build({ front: direct }, { publicHosts: true });
    for (const [node, type, role] of [
      ["a", ASSOCIATION, "address"],
      ["c", EIP, "public"],
    ] as const) {
      const way = made.one(type, `prod-hosts-${node}-${role}`);
      expect(made.one(INSTANCE, `prod-hosts-${node}`).dependencies).toContain(way.urn);
    }
  });
});

describe("the state of a host", () => {
  test("is on an encrypted volume of its own, protected as its environment says", async () => {
    const volume = (await build()).one(VOLUME, "prod-hosts-c-state");
    expect(volume.inputs).toEqual({
      availabilityZone: "eu-central-1c",
      type: "gp3",
      size: 20,
      encrypted: true,
      kmsKeyId: KEY,
      finalSnapshot: true,
      tags: { fleet: "prod", Name: "prod-hosts-c-state" },
    });
    expect(volume.options.protect).toBe(true);
    expect(volume.options.ignoreChanges).toEqual(["availabilityZone"]);
  });

  test("goes with a stack that protects nothing, and leaves no snapshot", async () => {
    const staging = { ...context, lifetime: LIFETIMES.staging };
    const volume = (await build({ context: staging })).one(VOLUME, "prod-hosts-a-state");
    expect(volume.options.protect).toBe(false);
    expect(volume.inputs.finalSnapshot).toBe(false);
  });

  test("hangs on the host's new machine: written out first, the old hook gone first", async () => {
    const attachment = (await build()).one(ATTACHMENT, "prod-hosts-a-attachment");
    expect(attachment.inputs).toEqual({
      deviceName: "/dev/sdf",
      instanceId: "prod-hosts-a-id",
      volumeId: "prod-hosts-a-state-id",
      stopInstanceBeforeDetaching: true,
    });
    expect(attachment.options.deleteBeforeReplace).toBe(true);
  });

  test("does not depend on any machine, so that no change of one touches it", async () => {
    const made = await build();
    const machines = made.of(INSTANCE).map(({ urn }) => urn);
    for (const { dependencies } of made.of(VOLUME)) {
      expect(dependencies.filter((urn) => machines.includes(urn))).toEqual([]);
    }
  });
});

/** Makes resources that stand for a drain and a verified health. */
class Step extends pulumi.CustomResource {
  constructor(
    type: string,
    name: string,
    inputs: pulumi.Inputs,
    opts: pulumi.CustomResourceOptions,
  ) {
    super(type, name, inputs, opts);
  }
}
const DRAINED = "openclaw:host:Drained";
const HEALTHY = "openclaw:host:Healthy";
const steps: HostSteps = {
  beforeChange: ({ node, machine, opts }) =>
    new Step(DRAINED, `drained-${node}`, { node, ...machine }, opts),
  afterHealthy: ({ name, instanceId }, { opts }) =>
    new Step(HEALTHY, `healthy-${name}`, { instanceId }, opts),
};

/** Everything that a resource waits for, also through others. */
function waitsFor(made: Made, urn: string): Set<string> {
  const byUrn = new Map(made.resources.map((r) => [r.urn, r]));
  const all = new Set<string>();
  const walk = (at: string) => {
    for (const next of byUrn.get(at)?.dependencies ?? []) {
      if (all.has(next)) continue;
      all.add(next);
      walk(next);
    }
  };
  walk(urn);
  return all;
}

describe("a change of image or size", () => {
  const nodes = ["a", "b", "c", "d", "e"];

  test.each([
    ["behind a balancer", balancer],
    ["with fixed addresses", direct],
    ["without a front", null],
  ] as const)(
    "%s never has two nodes down: each waits for all of the one before",
    async (_n, front) => {
      const made = await build({ front, steps: () => steps }, { nodes });
      nodes.slice(1).forEach((node, i) => {
        const before = nodes[i] as string;
        // Whatever stops a node: its drain comes before its machine, its machine before its hooks.
        const instance = made.one(INSTANCE, `prod-hosts-${node}`);
        const waits = waitsFor(made, instance.urn);
        const partsOfBefore = made.resources.filter(
          ({ type, name }) =>
            (name.startsWith(`prod-hosts-${before}`) && type !== VOLUME) ||
            name === `healthy-${before}` ||
            name === `drained-${before}`,
        );
        expect(partsOfBefore.length).toBeGreaterThanOrEqual(4);
        for (const { urn, name } of partsOfBefore) expect(waits.has(urn), name).toBe(true);
      });
    },
  );

  test("a node that is new waits for machines, and not for what is put on them", async () => {
    const isNew = (node: string) => node !== "b";
    const made = await build({ steps: () => ({ ...steps, isNew }) }, { nodes });
    const waits = (node: string) => waitsFor(made, made.one(INSTANCE, `prod-hosts-${node}`).urn);
    const healthy = (node: string) => made.one(HEALTHY, `healthy-${node}`).urn;
    expect(waits("b")).toContain(healthy("a"));
    expect(waits("c")).toContain(made.one(INSTANCE, "prod-hosts-b").urn);
    expect(waits("c")).not.toContain(healthy("b"));
    expect(waits("d")).not.toContain(healthy("c"));
  });

  test("a replaced machine drags no other with it: none has another's output among its inputs", async () => {
    const made = await build({ steps: () => steps }, { nodes });
    for (const { name, inputs } of made.of(INSTANCE)) {
      const others = nodes.map((node) => `prod-hosts-${node}-id`);
      const text = JSON.stringify(inputs);
      expect(
        others.filter((id) => text.includes(id)),
        name,
      ).toEqual([]);
    }
  });

  test("drains before the machine is touched, and knows all that touches it", async () => {
    const made = await build({ steps: () => steps }, { nodes }, { ami: "ami-0123456789abcdef0" });
    for (const node of nodes) {
      const drained = made.one(DRAINED, `drained-${node}`);
      expect(made.one(INSTANCE, `prod-hosts-${node}`).dependencies).toContain(drained.urn);
      expect(drained.inputs).toEqual({
        node,
        instanceType: "t4g.medium",
        image: "ami-0123456789abcdef0",
        diskKey: KEY,
        networkInterface: `prod-hosts-${node}-interface-id`,
      });
    }
  });

  test("a newer image alone drains nobody, since no host takes it", async () => {
    const made = await build({ steps: () => steps }, { nodes });
    expect(made.one(DRAINED, "drained-a").inputs.image).toBe("");
  });

  test("a host is well only with its volume, its address and its place behind the balancer", async () => {
    const front = { ...balancer, addresses: direct.addresses };
    const made = await build({ steps: () => steps, front }, { nodes });
    const waits = waitsFor(made, made.one(HEALTHY, "healthy-a").urn);
    for (const part of ["attachment", "address", "target"]) {
      const found = made.resources.find(({ name }) => name === `prod-hosts-a-${part}`);
      expect(waits.has(found?.urn as string), part).toBe(true);
    }
  });

  test("a node's drain waits for the health of the node before", async () => {
    const made = await build({ steps: () => steps }, { nodes });
    const waits = made.one(DRAINED, "drained-b").dependencies;
    expect(waits).toContain(made.one(HEALTHY, "healthy-a").urn);
  });
});

describe("what a host may do", () => {
  const statements = (made: Made) =>
    made.of(POLICY).flatMap(({ inputs }) => JSON.parse(inputs.policy).Statement);

  test("is: be managed, and keep this fleet's replicas", async () => {
    const allowed = statements(await build());
    const of = (action: string) =>
      allowed.filter(({ Action }) => [Action].flat().some((a: string) => a === action));
    expect(of("s3:GetObject").map(({ Resource }) => Resource)).toEqual([
      "arn:aws:s3:::replicas/prod/*",
    ]);
    expect(of("s3:ListBucket")[0].Condition).toEqual({ StringLike: { "s3:prefix": "prod/*" } });
    for (const { Resource, Condition } of of("kms:Decrypt")) {
      expect(Resource).toBe(DATA_KEY);
      expect(Condition.StringLike["kms:ViaService"]).toMatch(/^s3\.eu-central-1\./);
    }
  });

  test("names no resource by a star but where AWS knows none, and no action by one", async () => {
    for (const { Action, Resource } of statements(await build())) {
      const actions = [Action].flat() as string[];
      expect(actions.filter((action) => action.includes("*"))).toEqual([]);
      if (Resource === "*") {
        expect(actions.every((action) => /^ssm(messages)?:/.test(action))).toBe(true);
      }
    }
  });

  test("is not to read a secret: what a host needs is brought to it", async () => {
    expect(JSON.stringify(statements(await build()))).not.toContain("secretsmanager");
  });

  test("is there before the first host starts", async () => {
    const made = await build();
    const { dependencies } = made.one(INSTANCE, "prod-hosts-a");
    for (const { urn } of made.of(POLICY)) expect(dependencies).toContain(urn);
  });

  test("stays within the account's boundary and path", async () => {
    const bound = {
      ...context,
      permissionsBoundaryArn: "arn:aws:iam::123456789012:policy/boundary",
      rolePath: "/fleets/",
    };
    const made = await build({ context: bound });
    expect(made.one("aws:iam/role:Role").inputs).toMatchObject({
      path: "/fleets/",
      permissionsBoundary: bound.permissionsBoundaryArn,
    });
    expect(made.one("aws:iam/instanceProfile:InstanceProfile").inputs.path).toBe("/fleets/");
  });
});

describe("who may call a host", () => {
  test("other hosts, and the balancer on the routers' port; nobody by an address, nobody by SSH", async () => {
    const rules = (await build())
      .of(INGRESS)
      .map(({ inputs }) => inputs)
      .sort((one, other) => one.fromPort - other.fromPort);
    expect(
      rules.map(({ referencedSecurityGroupId, fromPort, toPort }) => [
        referencedSecurityGroupId,
        fromPort,
        toPort,
      ]),
    ).toEqual([
      ["prod-hosts-sg-id", 0, 65_535],
      ["sg-edge", 18_789, 18_789],
    ]);
    for (const rule of rules) {
      expect(rule.cidrIpv4).toBeUndefined();
      expect(rule.cidrIpv6).toBeUndefined();
    }
  });

  test("without a balancer only other hosts, beside the group that lets clients in", async () => {
    const rules = (await build({ front: direct })).of(INGRESS);
    expect(rules.map(({ name }) => name)).toEqual(["prod-hosts-from-hosts"]);
  });
});

test("a preview registers the same resources, while nothing is known of them", async () => {
  const names = (made: Made) => made.resources.map(({ urn }) => urn).sort();
  expect(names(await build({}, {}, {}, true))).toEqual(names(await build()));
});

test("every type that can be registered is priced or free with a reason", async () => {
  for (const front of [balancer, direct]) {
    for (const { type } of (await build({ front })).resources) {
      if (type !== "pulumi:pulumi:Stack") expect(Object.keys(PRICED)).toContain(type);
    }
  }
});
