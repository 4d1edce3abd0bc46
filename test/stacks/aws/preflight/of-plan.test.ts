import { describe, expect, test } from "vitest";
import { needOf } from "../../../../stacks/aws/preflight/of-plan.ts";
import { planStack } from "../../../../stacks/plan.ts";
import { settingsSchema } from "../../../../stacks/settings-schema.ts";

const TAG = { key: "openclaw-fleet", value: "prod" };
const ROLE = "arn:aws:iam::210987654321:role/deploy";

function need(settings: object) {
  const parsed = settingsSchema.parse({
    aws: { region: "eu-central-1", accountId: "210987654321" },
    domain: "chat.example.com",
    ...settings,
  });
  const plan = planStack("prod", parsed);
  if (!plan.aws) throw new Error("not on AWS");
  return needOf("prod", plan.aws, TAG, parsed.layers);
}
const EKS = { target: "eks", cluster: { access: "private", admins: [ROLE] } };
const of = (wanted: ReturnType<typeof need>, code: string) =>
  wanted.quotas.filter((quota) => quota.code === code).reduce((sum, quota) => sum + quota.need, 0);

describe("a plan's need of its account", () => {
  test.each(["solo", "small", "medium", "enterprise"])("of preset %s on ec2", (preset) => {
    const wanted = need({ target: "ec2", preset });
    expect(of(wanted, "L-F678F1CE")).toBe(1);
    expect(of(wanted, "L-1216C47A")).toBeGreaterThan(0);
    expect(wanted.instanceTypes).toHaveLength(1);
    expect(wanted.admins).toBeNull();
    expect(wanted.serviceRoles).not.toContain("eks");
  });

  test.each(["solo", "small", "medium", "enterprise"])("of preset %s on eks", (preset) => {
    const wanted = need({ ...EKS, preset });
    expect(of(wanted, "L-1194D53C")).toBe(1);
    expect(of(wanted, "L-53DA6B97")).toBe(1);
    expect(wanted.clusterName).toBe("prod-cluster");
    expect(wanted.admins).toEqual([ROLE]);
    expect(wanted.serviceRoles).toEqual(expect.arrayContaining(["autoScaling", "eks", "balancer"]));
  });

  test("has GPUs only where they are asked for, spot or on demand", () => {
    expect(of(need(EKS), "L-3819A6DF") + of(need(EKS), "L-DB2E81BA")).toBe(0);
    expect(of(need({ ...EKS, gpu: { spot: true, limit: 1 } }), "L-3819A6DF")).toBeGreaterThan(0);
    expect(of(need({ ...EKS, gpu: { spot: false, limit: 1 } }), "L-DB2E81BA")).toBeGreaterThan(0);
  });

  test("is only for the layers that the stack makes", () => {
    const base = need({ ...EKS, layers: ["base"] });
    expect(base.quotas.map(({ code }) => code)).toContain("L-F678F1CE");
    expect(of(base, "L-1216C47A") + of(base, "L-1194D53C") + of(base, "L-53DA6B97")).toBe(0);
    expect(base).toMatchObject({ admins: null, instanceTypes: [] });
    const rest = need({
      ...EKS,
      layers: ["compute", "fleet"],
      adopt: { base: { fromStack: "o/p/s" }, data: { fromStack: "o/p/s" } },
    });
    expect(of(rest, "L-F678F1CE")).toBe(0);
    expect(of(rest, "L-1194D53C")).toBe(1);
    expect(rest.zones).toBeNull();
  });

  test("counts machines of nodes and of the cluster itself together", () => {
    const codes = need(EKS).quotas.filter(({ code }) => code === "L-1216C47A");
    expect(codes.length).toBeGreaterThan(1);
  });
});
