import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { adminArnFor, adminOf, parseAdmin } from "../../../components/cluster/admins.ts";
import {
  CLUSTER_PRICES,
  LINES,
  PRICED,
  SYSTEM_TYPES,
  VERSION_NAMES,
  VERSIONS,
} from "../../../components/cluster/catalog.ts";
import { kubeconfigOf, tokenCommand } from "../../../components/cluster/kubeconfig.ts";
import { type ClusterNeed, planCluster, tierCluster } from "../../../components/cluster/plan.ts";
import { clusterSettings } from "../../../components/cluster/settings.ts";
import { monthlyUsd, PRICE_REGIONS } from "../../../components/cost.ts";
import { ConfigError, type Fault } from "../../../components/errors.ts";

const DEPLOYER = "arn:aws:iam::123456789012:role/ci/deploy";
const BASE = { access: { allowlist: ["203.0.113.7/32"] }, admins: [DEPLOYER] };

function need(settings: object = {}, rest: Partial<ClusterNeed> = {}): ClusterNeed {
  return {
    fleet: "prod",
    zones: 3,
    vpcCidr: "10.20.0.0/16",
    ...rest,
    settings: clusterSettings.parse({ ...BASE, ...settings }),
  };
}

function faultsOf(settings: object, rest: Partial<ClusterNeed> = {}): readonly Fault[] {
  try {
    planCluster(need(settings, rest));
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}

const settingsOf = (settings: object, rest?: Partial<ClusterNeed>) =>
  faultsOf(settings, rest).map(({ setting }) => setting);

describe("access", () => {
  test("neither an allowlist nor private is an error that names both", () => {
    const [fault] = faultsOf({ access: undefined });
    expect(fault?.setting).toBe("cluster.access");
    expect(fault?.remedy).toMatch(/allowlist.*private/);
  });

  test("private opens nothing to the internet", () => {
    expect(planCluster(need({ access: "private" })).publicCidrs).toEqual([]);
  });

  test.each([
    ["0.0.0.0/0", /everybody/],
    ["10.1.0.0/16", /private range/],
    ["172.31.0.0/16", /private range/],
    ["203.0.113.7/24", /bits beyond its prefix/],
    ["203.0.113.7", /no IPv4 CIDR/],
    ["203.0.113.256/32", /no IPv4 CIDR/],
    ["203.0.113.0/33", /no IPv4 CIDR/],
    ["::/0", /no IPv4 CIDR/],
  ])("an allowlist refuses %s", (cidr, problem) => {
    const [fault, ...others] = faultsOf({ access: { allowlist: ["198.51.100.0/24", cidr] } });
    expect(others).toEqual([]);
    expect(fault?.setting).toBe("cluster.access.allowlist[1]");
    expect(fault?.problem).toMatch(problem);
    expect(fault?.problem).toContain(cidr);
  });

  test("an allowlist takes EKS's 40 ranges and not one more", () => {
    const ranges = (n: number) => Array.from({ length: n }, (_, i) => `203.0.113.${i}/32`);
    expect(planCluster(need({ access: { allowlist: ranges(40) } })).publicCidrs).toHaveLength(40);
    expect(settingsOf({ access: { allowlist: ranges(41) } })).toEqual(["cluster.access.allowlist"]);
  });

  test("an empty allowlist is refused", () => {
    expect(settingsOf({ access: { allowlist: [] } })).toEqual(["cluster.access.allowlist"]);
  });
});

describe("admins", () => {
  test("none is an error that names who deploys", () => {
    const callerArn = "arn:aws:sts::123456789012:assumed-role/deploy/run-7";
    const [fault] = faultsOf({ admins: [] }, { callerArn });
    expect(fault?.setting).toBe("cluster.admins");
    expect(fault?.remedy).toContain("arn:aws:iam::123456789012:role/deploy");
  });

  test("who deploys must be among them, whatever the role's path", () => {
    const caller = (role: string) => `arn:aws:sts::123456789012:assumed-role/${role}/run-7`;
    expect(settingsOf({}, { callerArn: caller("deploy") })).toEqual([]);
    expect(settingsOf({}, { callerArn: caller("other") })).toEqual(["cluster.admins"]);
    expect(
      settingsOf({}, { callerArn: "arn:aws:sts::210987654321:assumed-role/deploy/x" }),
    ).toEqual(["cluster.admins"]);
  });

  test.each([
    "arn:aws:sts::123456789012:assumed-role/deploy/run-7",
    "arn:aws:iam::123456789012:root",
    "deploy",
  ])("%s is no administrator", (arn) => {
    expect(settingsOf({ admins: [DEPLOYER, arn] })).toEqual(["cluster.admins[1]"]);
  });

  test("one principal written twice gets one entry", () => {
    expect(planCluster(need({ admins: [DEPLOYER, DEPLOYER] })).admins).toHaveLength(1);
  });

  test("a caller is found by account and name", () => {
    const admin = parseAdmin("arn:aws-us-gov:iam::123456789012:user/ops/ann");
    expect(admin?.key).toBe("123456789012-user-ann");
    expect(adminOf("arn:aws-us-gov:iam::123456789012:user/ops/ann", [admin as never])).toBe(admin);
    expect(adminArnFor("arn:aws-cn:sts::123456789012:assumed-role/r/s")).toBe(
      "arn:aws-cn:iam::123456789012:role/r",
    );
  });
});

describe("versions", () => {
  test("every pair of versions: one minor up or none is a plan, anything else an error", () => {
    const minor = (v: string) => Number(v.split(".")[1]);
    for (const from of VERSION_NAMES) {
      for (const to of VERSION_NAMES) {
        const step = minor(to) - minor(from);
        const faults = settingsOf({ version: to }, { deployedVersion: from });
        expect(faults, `${from} to ${to}`).toEqual(
          step === 0 || step === 1 ? [] : ["cluster.version"],
        );
      }
    }
  });

  test("a skipped minor names the step between", () => {
    const [fault] = faultsOf({ version: "1.36" }, { deployedVersion: "1.34" });
    expect(fault?.remedy).toContain("Set it to 1.35");
  });

  test("a cluster older than the catalog is sent to AWS's own tools", () => {
    const [fault] = faultsOf({ version: "1.34" }, { deployedVersion: "1.31" });
    expect(fault?.remedy).toContain("1.32");
  });

  test("every version pins every addon, its images, and an image of its own minor", () => {
    for (const [name, version] of Object.entries(VERSIONS)) {
      expect(version.al2023Release).toMatch(
        new RegExp(`^${name.replace(".", "\\.")}\\.\\d+-\\d{8}$`),
      );
      expect(version.al2023Alias).toBe(`al2023@v${version.al2023Release.split("-")[1]}`);
      expect(version.addons["kube-proxy"].startsWith(`v${name}.`)).toBe(true);
      for (const addon of Object.values(version.addons)) {
        expect(addon).toMatch(/^v\d+\.\d+\.\d+-eksbuild\.\d+$/);
      }
    }
  });

  test("addons stand in order: before the nodes what makes them ready, after them what needs them", () => {
    expect(planCluster(need()).addons.map(({ name, when }) => [name, when])).toEqual([
      ["vpc-cni", "before-nodes"],
      ["kube-proxy", "before-nodes"],
      ["eks-pod-identity-agent", "before-nodes"],
      ["coredns", "after-nodes"],
      ["aws-ebs-csi-driver", "after-nodes"],
      ["metrics-server", "after-nodes"],
    ]);
  });
});

describe("services' range", () => {
  test.each([
    ["10.20.64.0/18", /overlaps the VPC's 10\.20\.0\.0\/16/],
    ["10.16.0.0/12", /overlaps/],
    ["172.20.0.0/11", /\/12 to \/24/],
    ["172.20.0.0/25", /\/12 to \/24/],
    ["172.20.0.1/16", /\/12 to \/24/],
    ["100.64.0.0/16", /not private/],
  ])("refuses %s", (serviceCidr, problem) => {
    const [fault] = faultsOf({ serviceCidr });
    expect(fault?.setting).toBe("cluster.serviceCidr");
    expect(fault?.problem).toMatch(problem);
  });

  test.each(["10.21.0.0/16", "172.16.0.0/12", "192.168.255.0/24"])("takes %s", (serviceCidr) => {
    expect(settingsOf({ serviceCidr })).toEqual([]);
  });
});

describe("system nodes", () => {
  test("are at least one a zone, and two", () => {
    const count = (zones: number) => planCluster(need({}, { zones })).systemNodes?.count;
    expect([count(2), count(3)]).toEqual([3, 3]);
    const large = { systemNodes: { instanceType: "m7g.xlarge" } };
    expect(planCluster(need(large, { zones: 2 })).systemNodes?.count).toBe(2);
  });

  test("one zone is refused: EKS needs two", () => {
    expect(settingsOf({}, { zones: 1 })).toEqual(["network.zones"]);
  });

  test("a type of the wrong processor, or too small with one node away, is refused by name", () => {
    const type = (instanceType: string, rest = {}) =>
      settingsOf({ systemNodes: { instanceType }, ...rest }, { zones: 2 });
    expect(type("t3.large")).toEqual(["cluster.systemNodes.instanceType"]);
    expect(type("t3.large", { architecture: "x86_64" })).toEqual([]);
    const systemPods = { cpuMilli: 0, memoryMiB: 8_000 };
    const medium = { systemNodes: { instanceType: "t4g.medium" } };
    expect(settingsOf(medium, { systemPods })).toEqual(["cluster.systemNodes.instanceType"]);
  });

  test("pods that no listed type holds are refused", () => {
    const systemPods = { cpuMilli: 200_000, memoryMiB: 0 };
    expect(settingsOf({}, { systemPods })).toEqual(["cluster.systemNodes"]);
  });

  test("hold their pods with one of them away, and cost never falls as pods grow", () => {
    const load = fc.record({
      cpuMilli: fc.integer({ min: 0, max: 12_000 }),
      memoryMiB: fc.integer({ min: 0, max: 40_000 }),
    });
    const zones = fc.constantFrom(2, 3);
    const architecture = fc.constantFrom("arm64", "x86_64");
    const region = fc.constantFrom(...PRICE_REGIONS);
    fc.assert(
      fc.property(load, load, zones, architecture, region, (one, more, z, arch, where) => {
        const of = (systemPods: { cpuMilli: number; memoryMiB: number }) => {
          const plan = planCluster(need({ architecture: arch }, { zones: z, systemPods }));
          const size = SYSTEM_TYPES.find((t) => t.type === plan.systemNodes?.type);
          const left = (plan.systemNodes?.count ?? 0) - 1;
          // Less than the machines have, so without kubelet and daemons it must hold all the more.
          expect(left * 1000 * (size?.cores ?? 0)).toBeGreaterThan(systemPods.cpuMilli + 1_600);
          expect(left * (size?.memoryMiB ?? 0)).toBeGreaterThan(systemPods.memoryMiB + 2_400);
          return monthlyUsd(tierCluster(plan, where).flatMap((t) => t.costs));
        };
        const grown = {
          cpuMilli: one.cpuMilli + more.cpuMilli,
          memoryMiB: one.memoryMiB + more.memoryMiB,
        };
        expect(of(grown)).toBeGreaterThanOrEqual(of(one));
      }),
      { numRuns: 300 },
    );
  });

  test("Bottlerocket encrypts both its disks and pins no release of its node group", () => {
    const plan = planCluster(need({ os: "bottlerocket", systemNodes: { diskGiB: 40 } }));
    expect(plan.systemNodes?.disks).toEqual([
      { device: "/dev/xvda", sizeGiB: 4 },
      { device: "/dev/xvdb", sizeGiB: 40 },
    ]);
    expect([plan.amiType, plan.releaseVersion]).toEqual(["BOTTLEROCKET_ARM_64", null]);
    expect(plan.amiAlias).toMatch(/^bottlerocket@v/);
  });
});

describe("an adopted cluster", () => {
  const adopt = { adopt: { name: "theirs" } };

  test("gets no addon, node or entry of ours, and asks nothing of them", () => {
    const plan = planCluster(need({ ...adopt, access: undefined, admins: [] }));
    expect(plan).toMatchObject({
      clusterName: "theirs",
      adopted: true,
      addons: [],
      admins: [],
      systemNodes: null,
      quotas: [],
    });
    expect(tierCluster(plan, "eu-west-1").flatMap((t) => t.costs)).toEqual([]);
  });

  test("gets what the settings say, and only that", () => {
    const plan = planCluster(
      need({ adopt: { name: "theirs", addons: ["metrics-server"], accessEntries: true } }),
    );
    expect(plan.addons.map((a) => a.name)).toEqual(["metrics-server"]);
    expect(plan.admins.map((a) => a.arn)).toEqual([DEPLOYER]);
  });
});

describe("cost", () => {
  test("of three nodes in Frankfurt, by hand", () => {
    const plan = planCluster(need());
    expect(plan.systemNodes?.type).toBe("t4g.medium");
    const costs = tierCluster(plan, "eu-central-1").flatMap((t) => t.costs);
    // 730 × 0.10 + 6.1 GB × 0.63 + 2190 h × 0.0384 + 90 GB × 0.0952
    expect(monthlyUsd(costs)).toBe(73 + 3.84 + 84.1 + 8.57);
  });

  test("an unknown region has no cost lines, and the tiers all the same", () => {
    const tiers = tierCluster(planCluster(need()), "sa-east-1");
    expect(tiers.map((t) => [t.tier, t.costs])).toEqual([
      ["cluster", []],
      ["system nodes", []],
    ]);
  });

  test("every line that pays for a resource is one that the plan writes", () => {
    const written = tierCluster(planCluster(need()), "us-east-1").flatMap((t) =>
      t.costs.map((c) => c.what),
    );
    expect(new Set(written)).toEqual(new Set(Object.values(LINES)));
    for (const by of Object.values(PRICED)) {
      if ("lines" in by) for (const line of by.lines) expect(written).toContain(line);
    }
  });

  test("every system type has a price in every region", () => {
    for (const prices of Object.values(CLUSTER_PRICES.regions)) {
      for (const { type } of SYSTEM_TYPES) expect(prices[type]).toBeGreaterThan(0);
    }
  });
});

describe("kubeconfig", () => {
  const cluster = {
    name: "prod-cluster",
    endpoint: "https://ABC.gr7.eu-west-1.eks.amazonaws.com",
    certificateAuthority: "Q0E=",
    token: tokenCommand({ name: "prod-cluster", region: "eu-west-1", roleArn: DEPLOYER }),
  };

  test("asks the AWS CLI for a token as the role that deploys, and holds none", () => {
    const { users, clusters } = JSON.parse(kubeconfigOf(cluster));
    expect(users[0].user).toEqual({
      exec: {
        apiVersion: "client.authentication.k8s.io/v1beta1",
        command: "aws",
        args: [
          ...["--region", "eu-west-1", "eks", "get-token", "--cluster-name", "prod-cluster"],
          ...["--output", "json", "--role-arn", DEPLOYER],
        ],
        interactiveMode: "Never",
      },
    });
    expect(clusters[0].cluster).toEqual({
      server: cluster.endpoint,
      "certificate-authority-data": "Q0E=",
    });
  });

  test("through a tunnel the certificate is still checked under the endpoint's name", () => {
    const { clusters } = JSON.parse(kubeconfigOf({ ...cluster, server: "https://127.0.0.1:8443" }));
    expect(clusters[0].cluster).toMatchObject({
      server: "https://127.0.0.1:8443",
      "tls-server-name": "abc.gr7.eu-west-1.eks.amazonaws.com",
    });
  });
});

test("every fault is told at once", () => {
  expect(settingsOf({ access: undefined, admins: [], serviceCidr: "nonsense" })).toEqual([
    "cluster.access",
    "cluster.admins",
    "cluster.serviceCidr",
  ]);
});

test("a change of users needs quotas for one node more than it runs", () => {
  const plan = planCluster(need());
  expect(plan.quotas).toContainEqual(expect.objectContaining({ code: "L-1216C47A", need: 8 }));
});
