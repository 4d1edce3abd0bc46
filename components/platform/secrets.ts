import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { AwsContext } from "../context.ts";
import type { Statement } from "../pod-identity.ts";
import { SECRET_STORE } from "./catalog.ts";

/**
 * Reads this fleet's secrets: those whose names begin with it, and those named one by one (a database
 * names its own secret). Decrypts with the data key only what comes through Secrets Manager.
 */
export function secretStatements(args: {
  readonly context: AwsContext;
  readonly secretArns: readonly pulumi.Input<string>[];
  readonly keyArn: pulumi.Input<string>;
  readonly own: pulumi.Input<string>;
}): Statement[] {
  const { context, secretArns, keyArn, own } = args;
  return [
    {
      Sid: "ReadSecrets",
      Effect: "Allow",
      Action: ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"],
      Resource: [own, ...secretArns],
    },
    {
      Sid: "OpenSecrets",
      Effect: "Allow",
      Action: "kms:Decrypt",
      Resource: keyArn,
      Condition: { StringLike: { "kms:ViaService": `secretsmanager.${context.region}.*` } },
    },
  ];
}

/** The way to Secrets Manager for the named namespaces, with the controller's own role. */
export function secretStore(
  name: string,
  args: { readonly region: string; readonly namespaces: readonly string[] },
  opts: pulumi.CustomResourceOptions,
): k8s.apiextensions.CustomResource {
  return new k8s.apiextensions.CustomResource(
    name,
    {
      apiVersion: "external-secrets.io/v1",
      kind: "ClusterSecretStore",
      metadata: { name: SECRET_STORE },
      spec: {
        conditions: [{ namespaces: args.namespaces }],
        provider: { aws: { service: "SecretsManager", region: args.region } },
      },
    },
    opts,
  );
}
