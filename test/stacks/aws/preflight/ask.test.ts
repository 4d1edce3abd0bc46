import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ConfigError } from "../../../../components/errors.ts";
import { askAws, reasonOf } from "../../../../stacks/aws/preflight/ask.ts";
import { type PreflightNeed, preflight } from "../../../../stacks/aws/preflight/index.ts";
import { PREFLIGHT_REPORT, readReport } from "../../../../stacks/aws/preflight/report.ts";
import { type Lookups, record } from "../../../support/pulumi-mocks.ts";

const ACCOUNT = "210987654321";
const MACHINES: Record<string, { type: string; spot: boolean; own: boolean }> = {
  "i-1": { type: "m7g.xlarge", spot: false, own: true },
  "i-2": { type: "t4g.medium", spot: false, own: false },
  "i-3": { type: "m7g.xlarge", spot: true, own: false },
  "i-4": { type: "g5.xlarge", spot: false, own: false },
};
const CORES: Record<string, number> = { "m7g.xlarge": 4, "t4g.medium": 2, "g5.xlarge": 4 };

const NEED: PreflightNeed = {
  fleet: "prod",
  region: "eu-central-1",
  accountId: ACCOUNT,
  ownTag: { key: "openclaw-fleet", value: "prod" },
  zones: { count: 2, pinned: ["euc1-az1", "euc1-az2"] },
  quotas: [
    { service: "ec2", code: "L-1216C47A", name: "standard vCPUs", need: 8 },
    { service: "ec2", code: "L-3819A6DF", name: "G spot vCPUs", need: 4 },
    { service: "eks", code: "L-1194D53C", name: "clusters", need: 1 },
  ],
  instanceTypes: ["m7g.xlarge"],
  admins: null,
  clusterName: "prod-cluster",
  serviceRoles: ["autoScaling"],
};

/** AWS, as far as the preflight asks. */
function account(changes: Lookups = {}): Lookups {
  return {
    "aws:index/getCallerIdentity:getCallerIdentity": () => ({
      accountId: ACCOUNT,
      arn: `arn:aws:sts::${ACCOUNT}:assumed-role/deploy/me`,
    }),
    "aws:iam/getSessionContext:getSessionContext": () => ({
      issuerArn: `arn:aws:iam::${ACCOUNT}:role/ci/deploy`,
    }),
    "aws:iam/getPrincipalPolicySimulation:getPrincipalPolicySimulation": ({ actionNames }) => ({
      results: (actionNames as string[]).map((actionName) => ({ actionName, allowed: true })),
    }),
    "aws:index/getAvailabilityZones:getAvailabilityZones": () => ({
      names: ["eu-central-1a", "eu-central-1b"],
      zoneIds: ["euc1-az1", "euc1-az2"],
    }),
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": () => ({
      locations: ["euc1-az1", "euc1-az2"],
    }),
    "aws:servicequotas/getServiceQuota:getServiceQuota": () => ({ value: 12 }),
    "aws:iam/getRoles:getRoles": () => ({ names: ["AWSServiceRoleForAutoScaling"] }),
    "aws:eks/getClusters:getClusters": () => ({ names: ["prod-cluster", "other"] }),
    "aws:ec2/getInstances:getInstances": ({ instanceTags, filters }) => ({
      ids: Object.entries(MACHINES)
        .filter(([, { own }]) => !instanceTags || own)
        .filter(([, { spot }]) => !filters || spot)
        .map(([id]) => id),
    }),
    "aws:ec2/getInstance:getInstance": ({ instanceId }) => ({
      instanceType: MACHINES[instanceId as string]?.type,
    }),
    "aws:ec2/getInstanceType:getInstanceType": ({ instanceType }) => ({
      defaultVcpus: CORES[instanceType as string],
    }),
    ...changes,
  };
}

const asked = async (changes: Lookups = {}, need = NEED) =>
  (await record(() => askAws(need, { rights: true }), { lookups: account(changes) })).value;

describe("what is asked", () => {
  test("counts vCPUs by family and kind, this stack's own apart", async () => {
    const { usage } = await asked();
    expect(usage.standardVcpus).toEqual({ value: { used: 6, own: 4 } });
    expect(usage.gpuSpotVcpus).toEqual({ value: { used: 0, own: 0 } });
    expect(usage.clusters).toEqual({ value: { used: 2, own: 1 } });
  });

  test("names the role behind a session, with its path", async () => {
    const { caller } = await asked();
    expect(caller).toEqual({
      value: { accountId: ACCOUNT, arn: `arn:aws:iam::${ACCOUNT}:role/ci/deploy` },
    });
  });

  test("and not answered costs that answer alone", async () => {
    const { limits, zones, caller } = await asked({
      "aws:servicequotas/getServiceQuota:getServiceQuota": () => {
        throw new Error("AccessDeniedException: no");
      },
    });
    expect(limits["L-1216C47A"]).toHaveProperty("unknown");
    expect(zones).toHaveProperty("value");
    expect(caller).toHaveProperty("value");
  });

  test("of too many machines is said to be too many", async () => {
    const ids = Array.from({ length: 41 }, (_, i) => `i-${i}`);
    const { usage } = await asked({ "aws:ec2/getInstances:getInstances": () => ({ ids }) });
    expect(usage.standardVcpus).toEqual({
      unknown: expect.stringContaining("41 machines run in this region"),
    });
  });
});

test("a reason is AWS's own words", () => {
  const error = new Error(
    "invocation of aws:ec2/getVpcs:getVpcs returned an error: invoking aws:ec2/getVpcs:getVpcs: operation error EC2: DescribeVpcs, https response error StatusCode: 403, RequestID: 0f-1, api error UnauthorizedOperation: You are not authorized",
  );
  expect(reasonOf(error)).toBe(
    "operation error EC2: DescribeVpcs api error UnauthorizedOperation: You are not authorized",
  );
});

describe("before the first resource", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "fleet-preflight-"));
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true, force: true });
  });
  const run = (changes: Lookups = {}) =>
    record(() => preflight(NEED, {}), { lookups: account(changes) });

  test("an account that has everything lets the program go on, which was told of nothing", async () => {
    const { value, resources } = await run({
      "aws:servicequotas/getServiceQuota:getServiceQuota": () => ({ value: 100 }),
    });
    expect(value).toBe("go on");
    expect(resources).toEqual([]);
  });

  test("every shortfall is thrown at once", async () => {
    const failed = await run({
      "aws:servicequotas/getServiceQuota:getServiceQuota": () => ({ value: 0 }),
      "aws:iam/getRoles:getRoles": () => ({ names: [] }),
    }).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(ConfigError);
    expect((failed as ConfigError).faults).toHaveLength(4);
    expect((failed as Error).message).toContain("--quota-code L-3819A6DF --desired-value 4");
  });

  test("a run for the checks alone writes them, also failed ones, and goes no further", async () => {
    const file = join(folder, "report.json");
    vi.stubEnv(PREFLIGHT_REPORT, file);
    const { value } = await run({
      "aws:servicequotas/getServiceQuota:getServiceQuota": () => ({ value: 0 }),
    });
    expect(value).toBe("only");
    const checks = readReport(file) ?? [];
    expect(checks.filter(({ state }) => state === "fail")).toHaveLength(3);
    expect(checks.at(-1)?.id).toBe("rights");
    expect(existsSync(`${file}.part`)).toBe(false);
  });
});
