import { expect, test } from "vitest";
import { explainCloud } from "../../../cli/lib/cloud-errors.ts";
import { environmentOf, resume } from "../../../cli/lib/init-questions.ts";

test.each([
  [
    "another account",
    "error: pulumi:providers:aws resource 'prod' has a problem: AWS account ID not allowed: 111122223333",
    /account 111122223333/,
  ],
  ["nobody", "error: No valid credential sources found.", /no credentials/],
  ["somebody expired", "operation error SSO: GetRoleCredentials, ExpiredToken", /expired/],
  ["a stranger", "api error InvalidClientTokenId: The security token…", /does not know/],
  [
    "a provider that is missing",
    "error: no resource plugin 'pulumi-resource-aws' found in the workspace at version v7.48.0",
    /provider aws is not installed/,
  ],
])("%s is told in a sentence with its way out", (_, output, what) => {
  const explained = explainCloud(`Previewing update (prod):\n  ${output}\n`);
  expect(explained.what).toMatch(what);
  expect(explained.fix).toMatch(/\S/);
});

test("a provider that is missing is named with the version of its package", () => {
  expect(explainCloud("no resource plugin 'pulumi-resource-aws' found").fix).toMatch(
    /plugin install resource aws \d+\.\d+\.\d+$/,
  );
});

test("what nobody knows is told in Pulumi's own words, each once", () => {
  const output =
    "Diagnostics:\n  error: preview failed\n  Pulumi.prod.yaml:4:3  openclaw-fleet:agnets is not a setting.\n  error: it broke\n  error: it broke\n";
  expect(explainCloud(output).what).toBe(
    "Pulumi.prod.yaml:4:3  openclaw-fleet:agnets is not a setting.\nit broke",
  );
  expect(explainCloud("").what).toMatch(/\S/);
});

test("questions that were left go on where they were", () => {
  const so = {
    stack: "prod",
    target: "eks" as const,
    account: "210987654321",
    admin: ["arn:a", "arn:b"],
    budget: 900,
  };
  expect(resume(so)).toBe(
    "./fleet init --stack prod --target eks --account 210987654321 --budget 900 --admin arn:a,arn:b",
  );
});

test.each([
  ["prod", "prod"],
  ["production-eu", "prod"],
  ["staging", "staging"],
  ["ann", "dev"],
])("a stack called %s is for %s unless said", (stack, environment) => {
  expect(environmentOf(stack)).toBe(environment);
});
