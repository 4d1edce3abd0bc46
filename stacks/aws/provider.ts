import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import type { AwsSettings } from "./settings.ts";

/**
 * The only way to the account: whatever identity the machine has, another account than the one in the
 * settings is refused before anything is read or changed.
 */
export function awsProvider(
  name: string,
  { region, accountId, assumeRoleArn }: Pick<AwsSettings, "accountId" | "region" | "assumeRoleArn">,
  opts?: pulumi.ResourceOptions,
): aws.Provider {
  return new aws.Provider(
    name,
    {
      region: region as aws.Region,
      allowedAccountIds: [accountId],
      ...(assumeRoleArn ? { assumeRoles: [{ roleArn: assumeRoleArn }] } : {}),
    },
    opts,
  );
}
