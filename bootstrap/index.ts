import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { backendUrl, secretsProvider } from "./names.ts";
import { Bootstrap } from "./resources.ts";
import { type BootstrapSettings, bootstrapSettings } from "./settings.ts";

/** The program of `fleet bootstrap aws`. */
function readSettings(): BootstrapSettings {
  const config = new pulumi.Config();
  const given = {
    accountId: config.get("accountId"),
    region: config.get("region"),
    repositories: config.getObject("repositories"),
    branch: config.get("branch"),
    environments: config.getObject("environments"),
    existingGithubProvider: config.getBoolean("existingGithubProvider"),
  };
  const parsed = bootstrapSettings.safeParse(given);
  if (parsed.success) return parsed.data;
  const said = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new pulumi.RunError(
    `${said.join("; ")}. ./fleet bootstrap aws --help shows what it takes.`,
  );
}

const settings = readSettings();
const provider = new aws.Provider("aws", {
  region: settings.region as aws.Region,
  // Whatever identity the machine has: another account is refused before anything is read.
  allowedAccountIds: [settings.accountId],
});
const { partition } = await aws.getPartition({}, { provider });
const made = new Bootstrap("openclaw-fleet", { settings, partition }, { provider });

export const stateBucket = made.stateBucket;
export const stateKeyArn = made.stateKeyArn;
export const boundaryArn = made.boundaryArn;
export const deployRoleArn = made.deployRoleArn;
export const previewRoleArn = made.previewRoleArn;
export const backend = backendUrl(settings);
export const secrets = secretsProvider(settings);
