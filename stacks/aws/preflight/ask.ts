import * as aws from "@pulumi/aws";
import type * as pulumi from "@pulumi/pulumi";
import { lookUpOffering, lookUpZones } from "../../../components/network/lookup.ts";
import { QUOTA_FACTS } from "./catalog.ts";
import { countOf } from "./count.ts";
import { type Answer, type Answers, type PreflightNeed, sumQuotas } from "./need.ts";
import { actionsOf } from "./rights.ts";

/** Asks AWS everything at once. A question that fails costs its own answer and no other. */
export async function askAws(
  need: PreflightNeed,
  { rights, ...opts }: pulumi.InvokeOptions & { readonly rights: boolean },
): Promise<Answers> {
  const quotas = sumQuotas(need.quotas).filter((quota) => quota.need > 0);
  const counters = [
    ...new Set(
      quotas.flatMap(({ code }) => QUOTA_FACTS.find((fact) => fact.code === code)?.counter ?? []),
    ),
  ];
  const caller = answer(() => whoAmI(opts));
  const [who, zones, offerings, limits, usage, serviceRoles, refused] = await Promise.all([
    caller,
    need.zones ? answer(() => lookUpZones(opts)) : { unknown: "nobody asked" },
    byName(need.instanceTypes, (type) => lookUpOffering(type, opts).then(({ zoneIds }) => zoneIds)),
    byName(
      quotas.map(({ code }) => code),
      (quotaCode) => {
        const serviceCode = quotas.find(({ code }) => code === quotaCode)?.service as string;
        return aws.servicequotas
          .getServiceQuota({ serviceCode, quotaCode }, opts)
          .then(({ value }) => value);
      },
    ),
    byName(counters, (counter) => countOf(counter, need, opts)),
    need.serviceRoles.length > 0
      ? answer(() =>
          aws.iam
            .getRoles({ pathPrefix: "/aws-service-role/" }, opts)
            .then(({ names }): readonly string[] => names),
        )
      : { unknown: "nobody asked" },
    rights
      ? caller.then((known) =>
          "unknown" in known ? known : answer(() => refusedTo(known.value.arn, need, opts)),
        )
      : undefined,
  ]);
  return {
    caller: who,
    zones,
    offerings,
    limits,
    usage,
    serviceRoles,
    ...(refused ? { refused } : {}),
  };
}

async function answer<T>(ask: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await ask() };
  } catch (error) {
    return { unknown: reasonOf(error) };
  }
}

async function byName<N extends string, T>(
  names: readonly N[],
  ask: (name: N) => Promise<T>,
): Promise<Record<N, Answer<T>>> {
  const pairs = names.map(async (name) => [name, await answer(() => ask(name))] as const);
  return Object.fromEntries(await Promise.all(pairs)) as Record<N, Answer<T>>;
}

/** AWS's own words, without Pulumi's and the request's numbers. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const said = text.split("\n").find((line) => line.trim() !== "") ?? text;
  return said
    .replace(/^.*?returned an error: /, "")
    .replace(/^invoking \S+: /, "")
    .replace(/,? (https response error )?StatusCode: \d+,? RequestID: [\w-]+,?/i, "")
    .replace(/\s+/g, " ")
    .slice(0, 300);
}

/** The role behind a session, with its path; the session's own ARN where it cannot be read. */
async function whoAmI(opts: pulumi.InvokeOptions): Promise<{ accountId: string; arn: string }> {
  const { accountId, arn } = await aws.getCallerIdentity({}, opts);
  if (!arn.includes(":assumed-role/")) return { accountId, arn };
  try {
    const { issuerArn } = await aws.iam.getSessionContext({ arn }, opts);
    return { accountId, arn: issuerArn || arn };
  } catch {
    return { accountId, arn };
  }
}

async function refusedTo(
  arn: string,
  need: PreflightNeed,
  opts: pulumi.InvokeOptions,
): Promise<readonly string[]> {
  const { results } = await aws.iam.getPrincipalPolicySimulation(
    {
      policySourceArn: arn,
      actionNames: actionsOf(need),
      contexts: [{ key: "aws:RequestedRegion", type: "string", values: [need.region] }],
    },
    opts,
  );
  return results.filter(({ allowed }) => !allowed).map(({ actionName }) => actionName);
}
