import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Answers, firstSettings } from "../../cli/lib/first-settings.ts";
import { isSample } from "../../cli/lib/sample.ts";
import { stackSettings } from "../../cli/lib/stack-settings.ts";
import { SAMPLE_ACCOUNT } from "../../stacks/aws/preflight/catalog.ts";
import { planStack } from "../../stacks/plan.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";

const AWS = { account: SAMPLE_ACCOUNT, region: "eu-central-1", models: "demo" };
const ADMIN = [`arn:aws:iam::${SAMPLE_ACCOUNT}:role/openclaw-fleet-deploy`];

/** What each sample answers to `init`, and what it must turn out as. */
const SAMPLES: Readonly<Record<string, Answers>> = {
  prod: {
    ...AWS,
    target: "eks",
    environment: "prod",
    preset: "medium",
    domain: "chat.example.com",
    budget: 2500,
    admin: ADMIN,
    allow: ["203.0.113.7/32"],
  },
  staging: {
    ...AWS,
    target: "ec2",
    environment: "staging",
    preset: "small",
    domain: "staging.chat.example.com",
    budget: 300,
  },
  vps: {
    target: "hosts",
    environment: "prod",
    preset: "small",
    models: "demo",
    domain: "chat.example.com",
    host: ["root@192.0.2.11", "root@192.0.2.12", "root@192.0.2.13"],
    hostPrice: 12,
    budget: 45,
  },
  enterprise: {
    ...AWS,
    target: "eks",
    environment: "prod",
    preset: "enterprise",
    domain: "chat.example.com",
    budget: 6500,
    admin: ADMIN,
    allow: ["private"],
  },
};

describe.each(Object.entries(SAMPLES))("the sample Pulumi.%s.yaml", (stack, answers) => {
  const text = readFileSync(join(PROJECT_ROOT, `Pulumi.${stack}.yaml`), "utf8");

  test("says in its first line what is a placeholder and how to replace it", () => {
    expect(isSample(text)).toBe(true);
    expect(text.split("\n")[0]).toContain(`./fleet init --stack ${stack}`);
  });

  test("is what init writes for its answers", () => {
    const below = text.split("\n").slice(1).join("\n");
    expect(below.replace(`./fleet plan --stack ${stack}.`, "./fleet plan.")).toBe(
      firstSettings(answers),
    );
  });

  test("is planned without a fault, within its budget and close to it", () => {
    const settings = stackSettings(stack);
    expect(settings).toMatchObject({ target: answers.target, preset: answers.preset });
    const { cost, budgetMonthlyUsd = 0 } = planStack(stack, settings);
    expect(cost?.monthlyUsd).toBeLessThanOrEqual(budgetMonthlyUsd);
    expect(cost?.monthlyUsd).toBeGreaterThan(budgetMonthlyUsd / 2);
  });
});

test("only documentation's names and addresses are in the samples", () => {
  for (const stack of Object.keys(SAMPLES)) {
    const text = readFileSync(join(PROJECT_ROOT, `Pulumi.${stack}.yaml`), "utf8");
    for (const address of text.match(/\d+\.\d+\.\d+\.\d+/g) ?? []) {
      expect(address).toMatch(/^(192\.0\.2|203\.0\.113)\./);
    }
    for (const name of text.match(/[a-z.]+\.com\b/g) ?? []) expect(name).toMatch(/example\.com$/);
  }
});
