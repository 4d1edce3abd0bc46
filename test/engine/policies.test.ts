import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parseFindings } from "../../cli/lib/policy-report.ts";
import { PolicyProject } from "./fixtures/policy-project.ts";
import { PULUMI } from "./fixtures/project.ts";

/**
 * Registers what a file lists, as components of the types in it: the engine hands those to policies as
 * it does any resource, and no provider is asked. `from` takes a property from another of them, and
 * `late` is a value that a preview does not know.
 */
const PROGRAM = `
import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
const made = {};
for (const { type, name, inputs, from = {}, late = {}, protect } of JSON.parse(readFileSync("resources.json", "utf8"))) {
  const props = { ...inputs };
  for (const [key, other] of Object.entries(from)) props[key] = made[other].urn;
  for (const [key, value] of Object.entries(late)) props[key] = pulumi.runtime.isDryRun() ? pulumi.unknown : value;
  made[name] = new pulumi.ComponentResource(type, name, props, { protect });
}
`;

interface Listed {
  readonly type: string;
  readonly name: string;
  readonly inputs: Record<string, unknown>;
  readonly from?: Record<string, string>;
  readonly late?: Record<string, unknown>;
  readonly protect?: boolean;
}

let project: PolicyProject;

beforeAll(async () => {
  if (!PULUMI) return;
  project = await PolicyProject.create("prod", PROGRAM);
});

beforeEach(() => {
  if (!PULUMI) return;
  rmSync(join(project.dir, "findings.jsonl"), { force: true });
  settings("openclaw-fleet:environment: prod", "openclaw-fleet:budgetMonthlyUsd: 300");
});

afterAll(() => project?.remove());

function settings(...lines: string[]): void {
  const salt = /^encryptionsalt:.*$/m.exec(readIfThere(join(project.dir, "Pulumi.prod.yaml")))?.[0];
  project.write(
    "Pulumi.prod.yaml",
    `config:\n${lines.map((line) => `  ${line}\n`).join("")}${salt ?? ""}\n`,
  );
}

function resources(...list: Listed[]): void {
  project.resources(list);
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** Names of what the stack's state holds. */
async function held(): Promise<string[]> {
  const exported = (await project.run("stack", "export", "--stack", "prod")).text;
  const state = JSON.parse(exported.slice(exported.indexOf("{"), exported.lastIndexOf("}") + 1));
  const all: { urn: string; type: string }[] = state.deployment.resources ?? [];
  return all
    .filter(({ type }) => type !== "pulumi:pulumi:Stack")
    .map(({ urn }) => urn.split("::").at(-1) as string);
}

const PLAN: Listed = {
  type: "openclaw-fleet:fleet:Plan",
  name: "prod-plan",
  inputs: { nodes: 3, zones: 3, monthlyUsd: 250 },
};
const SUBNET: Listed = {
  type: "aws:ec2/subnet:Subnet",
  name: "prod-network-public-a",
  inputs: {
    mapPublicIpOnLaunch: true,
    tags: { "openclaw-fleet": "prod", "openclaw-fleet-environment": "prod" },
  },
};
const SUBNET_URN = `urn:pulumi:prod::openclaw-fleet::${SUBNET.type}::${SUBNET.name}`;

describe.skipIf(!PULUMI)("the pack under the real engine", () => {
  test("shows what was found, which setting decides it and what to do, and stops", async () => {
    resources(
      { ...PLAN, inputs: { nodes: 2, zones: 2, monthlyUsd: 512.5 } },
      SUBNET,
      {
        type: "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        name: "prod-hosts-ssh",
        inputs: { ipProtocol: "tcp", fromPort: 22, toPort: 22, cidrIpv4: "0.0.0.0/0" },
      },
      { type: "aws:s3/bucket:Bucket", name: "prod-files", inputs: {}, protect: true },
    );
    const { code, text } = await project.preview();
    expect(code).not.toBe(0);
    const shown = (level: string, id: string, resource: string, found: string) => {
      const at = text.indexOf(`[${level}]  ${id}  (${resource})`);
      expect([id, at > -1]).toEqual([id, true]);
      expect(text).toContain(found);
    };
    shown(
      "mandatory",
      "money-budget",
      "openclaw-fleet:fleet:Plan: prod-plan",
      "Found: 512.50 USD a month, and the budget is 300.00 USD. Setting: budgetMonthlyUsd. Do: raise the budget",
    );
    shown(
      "advisory",
      "availability-third-node",
      "openclaw-fleet:fleet:Plan: prod-plan",
      "Found: two nodes: while one is lost or updated the other serves alone",
    );
    shown(
      "mandatory",
      "exposure-open-ingress",
      "aws:vpc:SecurityGroupIngressRule: prod-hosts-ssh",
      "Found: tcp port 22 from 0.0.0.0/0. Setting: edge.publicTo.",
    );
    shown(
      "mandatory",
      "exposure-public-addresses",
      "aws:ec2:Subnet: prod-network-public-a",
      "Found: mapPublicIpOnLaunch is true. Setting: network.",
    );
    // Judged by how resources stand to each other, which is asked last and in a preview too.
    shown(
      "mandatory",
      "exposure-bucket-closed",
      "aws:s3:Bucket: prod-files",
      "Found: no BucketPublicAccessBlock.",
    );
    expect(text).not.toContain("can't run policy");
  });

  test("stops a plan that is too dear before anything is made, preview or not", async () => {
    resources(
      { ...PLAN, inputs: { ...PLAN.inputs, monthlyUsd: 301 } },
      {
        type: "aws:ec2/vpc:Vpc",
        name: "prod-network-vpc",
        inputs: { tags: SUBNET.inputs.tags },
      },
    );
    const { code, text } = await project.run("up", "--yes", "--skip-preview", "--stack", "prod");
    expect(code).not.toBe(0);
    expect(text).toContain("Found: 301.00 USD a month");
    expect(await held()).not.toContain("prod-plan");
  });

  test("judges in up, before it is made, what a preview could not know", async () => {
    const policy = JSON.stringify({ Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }] });
    resources(PLAN, {
      type: "aws:iam/rolePolicy:RolePolicy",
      name: "prod-hosts-may-all",
      inputs: {},
      late: { policy },
    });
    const preview = await project.preview();
    expect(preview.text).not.toContain("[mandatory]");
    expect(preview.code).toBe(0);
    const noted = parseFindings(readFileSync(join(project.dir, "findings.jsonl"), "utf8"));
    expect(noted).toContainEqual(
      expect.objectContaining({ policy: "identity-wildcards", outcome: "waits", found: "policy" }),
    );
    const up = await project.run("up", "--yes", "--skip-preview", "--stack", "prod");
    expect(up.code).not.toBe(0);
    expect(up.text).toContain("Found: * on everything.");
    expect(await held()).not.toContain("prod-hosts-may-all");
  });

  test("adds tags that are missing, and says so", async () => {
    resources(PLAN, {
      type: "aws:ec2/vpc:Vpc",
      name: "prod-network-vpc",
      inputs: { tags: { Name: "x" } },
    });
    const { code, text } = await project.preview("--show-policy-remediations");
    expect(text).toMatch(/\[remediate\]\s+money-tags/);
    expect(code).toBe(0);
  });

  test("lets through what a stack excepts, until the day, and refuses what it need not except", async () => {
    const exception = (urn: string, expires: string) =>
      project.write(
        "exceptions.yaml",
        [
          "exceptions:",
          "  - policy: exposure-public-addresses",
          `    urn: ${urn}`,
          "    reason: the old proxy, until it is moved",
          "    owner: ops",
          `    expires: ${expires}`,
        ].join("\n"),
      );
    const inDays = (days: number) =>
      new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
    settings(
      "openclaw-fleet:environment: prod",
      "openclaw-fleet:policies: { exceptions: exceptions.yaml }",
    );
    resources(PLAN, SUBNET);
    exception(SUBNET_URN, inDays(30));
    const fine = await project.preview();
    expect(fine.text).not.toContain("[mandatory]");
    expect(fine.code).toBe(0);

    exception(SUBNET_URN, inDays(-2));
    const late = await project.preview();
    expect(late.code).not.toBe(0);
    expect(late.text).toContain("[mandatory]  hygiene-policy-settings");
    expect(late.text).toContain(`expired on ${inDays(-2)}`);
    expect(late.text).toContain("[mandatory]  exposure-public-addresses");

    resources(PLAN, { ...SUBNET, inputs: { ...SUBNET.inputs, mapPublicIpOnLaunch: false } });
    exception(SUBNET_URN, inDays(30));
    const needless = await project.preview();
    expect(needless.code).not.toBe(0);
    expect(needless.text).toContain(`nothing breaks exposure-public-addresses at ${SUBNET_URN}`);
  });

  test("warns only, where the stack lowers a policy", async () => {
    settings(
      "openclaw-fleet:environment: prod",
      "openclaw-fleet:policies: { severity: { exposure-public-addresses: advisory } }",
    );
    resources(PLAN, SUBNET);
    const { code, text } = await project.preview();
    expect(text).toContain("[advisory]  exposure-public-addresses-lowered");
    expect(code).toBe(0);
  });
});
