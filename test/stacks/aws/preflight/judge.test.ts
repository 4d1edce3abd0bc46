import { describe, expect, test } from "vitest";
import { QUOTA_FACTS } from "../../../../stacks/aws/preflight/catalog.ts";
import { judge } from "../../../../stacks/aws/preflight/judge.ts";
import {
  type Answers,
  type PreflightCheck,
  type PreflightNeed,
  sumQuotas,
} from "../../../../stacks/aws/preflight/need.ts";

const ACCOUNT = "210987654321";
const ROLE = `arn:aws:iam::${ACCOUNT}:role/ci/deploy`;
const VPCS = { service: "vpc", code: "L-F678F1CE", name: "VPCs per Region" };
const ZONES = ["euc1-az1", "euc1-az2", "euc1-az3"].map((id, i) => ({
  id,
  name: `eu-central-1${"abc"[i]}`,
}));

const NEED: PreflightNeed = {
  fleet: "prod",
  region: "eu-central-1",
  accountId: ACCOUNT,
  ownTag: { key: "openclaw-fleet", value: "prod" },
  zones: { count: 3, pinned: ZONES.map(({ id }) => id) },
  quotas: [{ ...VPCS, need: 1 }],
  instanceTypes: ["m7g.xlarge"],
  admins: [ROLE],
  clusterName: "prod-cluster",
  serviceRoles: ["autoScaling", "eks"],
};

const ANSWERS: Answers = {
  caller: { value: { accountId: ACCOUNT, arn: ROLE } },
  zones: { value: ZONES },
  offerings: { "m7g.xlarge": { value: ZONES.map(({ id }) => id) } },
  limits: { [VPCS.code]: { value: 5 } },
  usage: { vpcs: { value: { used: 4, own: 0 } } },
  serviceRoles: { value: ["AWSServiceRoleForAutoScaling", "AWSServiceRoleForAmazonEKS"] },
};

const states = (checks: readonly PreflightCheck[]) =>
  Object.fromEntries(checks.map(({ id, state }) => [id, state]));
const about = (id: string, checks: readonly PreflightCheck[]) =>
  checks.find((check) => check.id === id) as PreflightCheck;

test("an account that has everything passes every check", () => {
  expect(states(judge(NEED, ANSWERS))).toEqual({
    account: "ok",
    admins: "ok",
    zones: "ok",
    "service roles": "ok",
    "quota L-F678F1CE": "ok",
  });
});

describe("a quota", () => {
  const vpcs = (limit: number, used: number, own: number, need = 1) =>
    about(
      "quota L-F678F1CE",
      judge(
        { ...NEED, quotas: [{ ...VPCS, need }] },
        {
          ...ANSWERS,
          limits: { [VPCS.code]: { value: limit } },
          usage: { vpcs: { value: { used, own } } },
        },
      ),
    );

  test.each([
    ["exactly full", 5, 4, 0, "ok"],
    ["one over", 5, 5, 0, "fail"],
    ["full, and one of them is this stack's", 5, 5, 1, "ok"],
    ["smaller than what is wanted", 0, 0, 0, "fail"],
    ["larger than all", 100, 5, 0, "ok"],
  ] as const)("%s: %s allowed, %s used, %s own", (_, limit, used, own, state) => {
    expect(vpcs(limit, used, own).state).toBe(state);
  });

  test("that is short says have, use, need and the command that asks for enough", () => {
    const { text, fix } = vpcs(5, 5, 1, 2);
    expect(text).toBe(
      "VPCs per Region: the account allows 5, 4 in use besides 1 of this stack, 2 needed",
    );
    expect(fix).toBe(
      "aws service-quotas request-service-quota-increase --region eu-central-1 --service-code vpc --quota-code L-F678F1CE --desired-value 6",
    );
  });

  test("that several components need is judged by their sum", () => {
    expect(
      sumQuotas([
        { ...VPCS, need: 1 },
        { ...VPCS, need: 2 },
      ]),
    ).toEqual([{ ...VPCS, need: 3 }]);
    const quotas = [
      { ...VPCS, need: 1 },
      { ...VPCS, need: 1 },
    ];
    expect(about("quota L-F678F1CE", judge({ ...NEED, quotas }, ANSWERS)).state).toBe("fail");
  });

  test("whose limit or use nobody knows has not passed", () => {
    const silent = { unknown: "AccessDenied: not authorized" };
    const noLimit = judge(NEED, { ...ANSWERS, limits: { [VPCS.code]: silent } });
    expect(about("quota L-F678F1CE", noLimit)).toMatchObject({
      state: "unknown",
      why: silent.unknown,
    });
    expect(about("quota L-F678F1CE", noLimit).text).toContain("begins with 5");
    expect(
      about("quota L-F678F1CE", judge(NEED, { ...ANSWERS, usage: { vpcs: silent } })).state,
    ).toBe("unknown");
    const strange = { service: "x", code: "L-X", name: "of a new service", need: 1 };
    const check = about(
      "quota L-X",
      judge({ ...NEED, quotas: [strange] }, { ...ANSWERS, limits: { "L-X": { value: 9 } } }),
    );
    expect(check.state).toBe("unknown");
  });

  test("that is smaller than the need fails, whatever is in use", () => {
    const silent = { unknown: "no rights" };
    const answers = { ...ANSWERS, limits: { [VPCS.code]: { value: 0 } }, usage: { vpcs: silent } };
    expect(about("quota L-F678F1CE", judge(NEED, answers)).state).toBe("fail");
  });

  test("counted from above is unknown, not short, when it only may be full", () => {
    const nat = { service: "vpc", code: "L-FE5A380F", name: "NAT gateways", need: 1 };
    const check = about(
      "quota L-FE5A380F",
      judge(
        { ...NEED, quotas: [nat] },
        {
          ...ANSWERS,
          limits: { [nat.code]: { value: 5 } },
          usage: { natGateways: { value: { used: 9, own: 0, atMost: true } } },
        },
      ),
    );
    expect(check.state).toBe("unknown");
  });

  test("of which nothing is needed is no check", () => {
    const checks = judge({ ...NEED, quotas: [{ ...VPCS, need: 0 }] }, ANSWERS);
    expect(checks.some(({ id }) => id.startsWith("quota"))).toBe(false);
  });
});

test("all shortfalls are told at once", () => {
  const quotas = QUOTA_FACTS.map(({ service, code, name }) => ({ service, code, name, need: 1 }));
  const limits = Object.fromEntries(quotas.map(({ code }) => [code, { value: 0 }]));
  const checks = judge(
    { ...NEED, quotas, admins: [`arn:aws:iam::${ACCOUNT}:role/other`] },
    { ...ANSWERS, limits, serviceRoles: { value: [] } },
  );
  const failed = checks.filter(({ state }) => state === "fail");
  expect(failed.map(({ id }) => id)).toEqual([
    "admins",
    "service roles",
    ...quotas.map(({ code }) => `quota ${code}`),
  ]);
  for (const { fix } of failed) expect(fix).toMatch(/\S/);
});

describe("the account", () => {
  test("of another identity ends the checks: the rest would be about somebody else's", () => {
    const caller = {
      value: { accountId: "111122223333", arn: "arn:aws:iam::111122223333:user/ann" },
    };
    const checks = judge(NEED, { ...ANSWERS, caller });
    expect(states(checks)).toEqual({ account: "fail" });
    expect(checks[0]?.text).toContain("111122223333");
    expect(checks[0]?.text).toContain(ACCOUNT);
  });

  test("of the samples is nobody's", () => {
    const [check] = judge({ ...NEED, accountId: "123456789012" }, ANSWERS);
    expect(check).toMatchObject({ id: "account", state: "fail" });
  });

  test("of somebody unknown leaves administrators unknown", () => {
    const checks = judge(NEED, { ...ANSWERS, caller: { unknown: "expired" } });
    expect(states(checks)).toMatchObject({ account: "unknown", admins: "unknown" });
  });
});

test.each([
  ["the session of an administrator's role", `arn:aws:sts::${ACCOUNT}:assumed-role/deploy/x`, "ok"],
  ["another role", `arn:aws:iam::${ACCOUNT}:role/ci/other`, "fail"],
])("%s deploys: %s", (_, arn, state) => {
  const caller = { value: { accountId: ACCOUNT, arn } };
  expect(about("admins", judge(NEED, { ...ANSWERS, caller })).state).toBe(state);
});

test("a stack without a cluster is not asked for administrators", () => {
  expect(states(judge({ ...NEED, admins: null }, ANSWERS))).not.toHaveProperty("admins");
});

describe("zones", () => {
  const judged = (need: Partial<PreflightNeed>, answers: Partial<Answers> = {}) =>
    about("zones", judge({ ...NEED, ...need }, { ...ANSWERS, ...answers }));

  test("that nobody wrote down are named, to be written down", () => {
    const check = judged({ zones: { count: 2 } });
    expect(check.state).toBe("warn");
    expect(check.fix).toBe("write openclaw-fleet:aws.zones: [euc1-az1, euc1-az2]");
  });

  test("without a machine type are named with it", () => {
    const offerings = { "m7g.xlarge": { value: ["euc1-az1", "euc1-az2"] } };
    const check = judged({}, { offerings });
    expect(check.state).toBe("fail");
    expect(check.text).toContain("euc1-az3");
    expect(check.text).toContain("m7g.xlarge");
  });

  test("whose offerings nobody knows have not passed", () => {
    const check = judged({}, { offerings: { "m7g.xlarge": { unknown: "throttled" } } });
    expect(check).toMatchObject({ state: "unknown", why: "throttled" });
  });
});

describe("roles of AWS's services", () => {
  const judged = (there: string[]) =>
    judge(NEED, { ...ANSWERS, serviceRoles: { value: there } }).filter(
      ({ id }) => id === "service roles",
    );

  test("that must be there before fail with the command that makes them", () => {
    const [check] = judged(["AWSServiceRoleForAmazonEKS"]);
    expect(check).toMatchObject({
      state: "fail",
      fix: "aws iam create-service-linked-role --aws-service-name autoscaling.amazonaws.com",
    });
  });

  test("that AWS makes by itself are said and stop nothing", () => {
    expect(judged(["AWSServiceRoleForAutoScaling"]).map(({ state }) => state)).toEqual(["warn"]);
  });
});

test("what the simulator refuses is a warning, and its silence no pass", () => {
  const rights = (refused: Answers["refused"]) =>
    about("rights", judge(NEED, { ...ANSWERS, refused })).state;
  expect(rights({ value: [] })).toBe("ok");
  expect(rights({ value: ["eks:CreateCluster"] })).toBe("warn");
  expect(rights({ unknown: "AccessDenied" })).toBe("unknown");
});
