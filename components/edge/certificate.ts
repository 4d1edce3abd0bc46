import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import { slug } from "./names.ts";
import type { EdgePlan } from "./plan.ts";

export interface CertificateArgs {
  readonly plan: EdgePlan;
  /** Zone on Route 53 that holds the names. */
  readonly zoneId: pulumi.Input<string>;
  /** Provider of the zone, when it is in another account. */
  readonly zoneProvider: pulumi.ProviderResource | undefined;
  readonly tags: Readonly<Record<string, string>>;
}

/** Delegation was checked before; what takes longer than this will not come, seconds. */
const VALIDATION_SECONDS = 1_800;

/**
 * A certificate for all names of a plan. Its ARN is known once AWS has seen the records: a listener that
 * takes it never has one that is not valid yet. A changed list of names makes the new certificate first.
 */
export function certificate(
  name: string,
  { plan, zoneId, zoneProvider, tags }: CertificateArgs,
  parent: pulumi.Resource,
): pulumi.Output<string> {
  const [domainName, ...subjectAlternativeNames] = plan.names;
  const made = new aws.acm.Certificate(
    `${name}-certificate`,
    {
      domainName: domainName as string,
      ...(subjectAlternativeNames.length > 0 ? { subjectAlternativeNames } : {}),
      validationMethod: "DNS",
      tags: { ...tags, Name: `${name}-certificate` },
    },
    { parent },
  );
  const records = plan.validationNames.map((validated) => {
    const option = made.domainValidationOptions.apply((options) => {
      const found = options.find((o) => o.domainName.replace(/^\*\./, "") === validated);
      if (!found) throw new Error(`the certificate asks for no record for ${validated}`);
      return found;
    });
    return new aws.route53.Record(
      `${name}-validation-${slug(validated)}`,
      {
        zoneId,
        name: option.resourceRecordName,
        type: option.resourceRecordType,
        records: [option.resourceRecordValue],
        ttl: 60,
        // The value depends on account and name only, so that another certificate's is the same.
        allowOverwrite: true,
      },
      inZone(parent, zoneProvider),
    );
  });
  return new aws.acm.CertificateValidation(
    `${name}-validated`,
    {
      certificateArn: made.arn,
      validationRecordFqdns: records.map(({ fqdn }) => fqdn),
    },
    { parent, customTimeouts: { create: `${VALIDATION_SECONDS}s` } },
  ).certificateArn;
}

/** Options of what stands in the zone, which may be in another account. */
export function inZone(
  parent: pulumi.Resource,
  provider: pulumi.ProviderResource | undefined,
): pulumi.CustomResourceOptions {
  return provider ? { parent, provider } : { parent };
}
