import { describe, expect, test } from "vitest";
import { ConfigError } from "../../components/errors.ts";
import { overBudget, planStack } from "../../stacks/plan.ts";
import { settingsSchema } from "../../stacks/settings-schema.ts";

const plan = (settings: object) => planStack("team", settingsSchema.parse(settings));

test.each([
  ["local", "keeps no replicas"],
  ["ec2", "makes a bucket of its own"],
])("a bucket for replicas is refused on target %s, where nothing would go there", (target, why) => {
  const s3 = { bucket: "b", region: "r", accessKeyId: "AKIA", secretAccessKey: "hunter2" };
  expect(() => plan({ target, replication: { s3 } })).toThrow(why);
  expect(() => plan({ target: "hosts", preset: "small", replication: { s3 } })).not.toThrow();
});

describe("what a stack costs", () => {
  test("this machine is there already", () => {
    expect(plan({}).cost?.monthlyUsd).toBe(0);
    expect(plan({}).tiers).toEqual([]);
  });

  test("hosts cost what the person says, each", () => {
    const { cost, tiers } = plan({
      target: "hosts",
      preset: "small",
      sizes: { hostMonthlyUsd: 12.5 },
    });
    expect(cost?.monthlyUsd).toBe(37.5);
    expect(tiers).toMatchObject([{ tier: "hosts", count: 3, survives: "the loss of one host" }]);
  });

  test("hosts without a price have no sum, and the plan says what to set", () => {
    const { cost, notes } = plan({ target: "hosts", preset: "small" });
    expect(cost).toBeNull();
    expect(notes.join()).toContain("sizes.hostMonthlyUsd");
  });
});

describe("hosts that are listed", () => {
  const three = ["a", "b", "c"].map((name, i) => ({ name, address: `192.0.2.${i + 1}` }));
  const set = { target: "hosts", preset: "small", hosts: three };
  const QUIET = "monitoring.alerts names nobody: alerts are seen in Alertmanager on c only";

  test("are refused for what `up` would refuse", () => {
    expect(() => plan({ ...set, environment: "prod" })).toThrow(/domain is missing/);
    expect(() => plan({ ...set, sizes: { nodeMemoryMaxMiB: 100 } })).toThrow(/nodeMemoryMaxMiB/);
    const twice = [...three.slice(1), { name: "d", address: "192.0.2.2" }];
    expect(() => plan({ ...set, hosts: twice })).toThrow(/as is that of hosts\[0\]/);
  });

  test("have alerts that somebody should be told of", () => {
    expect(plan(set).notes.join()).toContain(QUIET);
    const told = { alerts: { webhook: { url: "https://example.com/hook" } } };
    expect(plan({ ...set, monitoring: told }).notes.join()).not.toContain("names nobody");
    expect(plan({ ...set, monitoring: { enabled: false } }).notes.join()).not.toContain("nobody");
    const alone = { ...set, preset: "solo", hosts: three.slice(0, 1) };
    expect(plan(alone).notes.join()).not.toContain("names nobody");
  });

  test.each([
    ["*.example.com", {}, true],
    ["fleet.example.com", {}, false],
    [undefined, { proxyProtocolFrom: ["10.0.0.0/8"] }, true],
  ])("with domain %s and front %j have a canary or say why not", (domain, front, told) => {
    const own =
      domain === undefined ? {} : { certificate: "own", certificateFile: "/c", keyFile: "/k" };
    const { notes } = plan({ ...set, domain, front: { ...own, ...front } });
    expect(notes.join().includes("monitoring.canary: left out")).toBe(told);
  });

  test("without a majority survive no loss, and nothing in the plan says otherwise", () => {
    const two = plan({ ...set, hosts: three.slice(0, 2) });
    expect(two.fleet.loss.survives).toBe(false);
    expect(two.tiers[0]?.survives).toBe("no loss of the one host that votes");
    const witness = [...three.slice(0, 2), { ...three[2], witness: true }];
    expect(plan({ ...set, hosts: witness }).tiers[0]?.survives).toBe("the loss of one host");
  });
});

describe("a budget below the plan's cost", () => {
  const dear = {
    target: "hosts",
    preset: "small",
    sizes: { hostMonthlyUsd: 40 },
    budgetMonthlyUsd: 100,
  };

  test("is refused in prod, with both numbers", () => {
    const work = () => plan({ ...dear, environment: "prod" });
    expect(work).toThrow(ConfigError);
    expect(work).toThrow(/budgetMonthlyUsd is 100, and the plan costs 120\.00 US dollars/);
  });

  test.each(["staging", "dev"])("is said in %s, with who refuses it", (environment) => {
    expect(plan({ ...dear, environment }).notes.join()).toMatch(
      /the plan costs 120\.00 .*: \.\/fleet preview and up refuse it/,
    );
  });

  test("is the same fault in every environment, and one of a cost that nobody knows too", () => {
    const unpriced = { ...dear, sizes: {} };
    for (const environment of ["staging", "dev"]) {
      expect(overBudget(plan({ ...dear, environment }))?.problem).toContain("costs 120.00");
      const unknown = plan({ ...unpriced, environment });
      expect(overBudget(unknown)).toMatchObject({
        problem: "is 100, and nobody knows what the plan costs",
        remedy: "Set sizes.hostMonthlyUsd, or leave it out",
      });
      expect(unknown.notes.join()).toContain("./fleet preview and up refuse it");
    }
    expect(() => plan({ ...unpriced, environment: "prod" })).toThrow("nobody knows what");
    expect(overBudget(plan({ ...unpriced, budgetMonthlyUsd: undefined }))).toBeNull();
  });

  test("says on AWS which regions have prices, where this one has none", () => {
    const aws = { region: "ap-south-1", accountId: "123456789012" };
    const set = { target: "ec2", preset: "small", domain: "fleet.example.com", aws };
    const unknown = plan({ ...set, budgetMonthlyUsd: 1_000 });
    expect(unknown.cost).toBeNull();
    expect(overBudget(unknown)?.remedy).toContain("eu-central-1");
  });

  test("that is just met is neither", () => {
    expect(plan({ ...dear, budgetMonthlyUsd: 120, environment: "prod" }).notes).toEqual([]);
  });
});

test("a cluster's services may not overlap the network as it is planned", () => {
  const stack = {
    target: "eks",
    preset: "small",
    aws: { region: "eu-central-1", accountId: "123456789012" },
    domain: "fleet.example.com",
    network: { cidr: "172.20.0.0/16" },
    cluster: { access: "private", admins: ["arn:aws:iam::123456789012:role/deploy"] },
  };
  expect(() => plan(stack)).toThrow(/cluster\.serviceCidr is 172\.20\.0\.0\/16, which overlaps/);
});
