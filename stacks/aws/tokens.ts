import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type { AwsContext } from "../../components/context.ts";
import type { Settings } from "../settings.ts";

/** Characters of a made token: 256 bits and some. */
const LENGTH = 48;

export interface AccessTokens {
  /** Secrets, at least one. */
  readonly clients: readonly pulumi.Input<string>[];
  /** A secret. */
  readonly admin: pulumi.Output<string>;
}

/** Tokens of clients and administrators: the person's own, or made once. Kept where nodes read them. */
export function accessTokens(
  name: string,
  args: {
    readonly context: AwsContext;
    readonly settings: Settings;
    readonly keyArn: pulumi.Input<string>;
  },
  opts: pulumi.CustomResourceOptions,
): AccessTokens {
  const { context, settings, keyArn } = args;
  const made = (role: string) =>
    new random.RandomPassword(
      `${name}-${role}`,
      { length: LENGTH, special: false },
      { additionalSecretOutputs: ["result", "bcryptHash"] },
    ).result;
  const given = settings.tokens;
  const clients = given.client ?? [made("client")];
  const admin = pulumi.secret(given.admin ?? made("admin"));
  const secret = new aws.secretsmanager.Secret(
    name,
    {
      description: `Tokens of clients and administrators of ${context.fleet}`,
      kmsKeyId: keyArn,
      recoveryWindowInDays: context.lifetime.secretRecoveryDays,
      tags: { ...context.tags, Name: name },
    },
    opts,
  );
  new aws.secretsmanager.SecretVersion(
    `${name}-value`,
    {
      secretId: secret.id,
      secretString: pulumi.secret(pulumi.jsonStringify({ client: clients, admin })),
    },
    { ...opts, parent: secret, additionalSecretOutputs: ["secretString"] },
  );
  return { clients, admin };
}
