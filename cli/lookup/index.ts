import { setTimeout as sleep } from "node:timers/promises";
import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { reasonOf } from "../../stacks/aws/preflight/ask.ts";
import { awsProvider } from "../../stacks/aws/provider.ts";
import type { Question } from "../lib/pipeline/look-up.ts";
import { type Found, listedAlsoIn, matchTagged, type Tagged } from "../lib/pipeline/tagged-ids.ts";

/** The program of a look into an account: asks through the provider that stacks use, and makes nothing. */

/** Between two looks, ms. */
const AGAIN_MS = 3_000;

const question = JSON.parse(process.env.OPENCLAW_FLEET_LOOKUP ?? "{}") as Question;
const { place, fleet, wanted, mounts, until } = question;
const opts = { provider: awsProvider("account", place) };

/** Everything that bears the fleet's tag, also of no region. */
async function listed(): Promise<Tagged[]> {
  const regions = new Set<string | undefined>([undefined]);
  for (const { type } of wanted) regions.add(listedAlsoIn(type, place.region));
  const asked = [...regions].map((region) =>
    aws.resourcegroupstaggingapi.getResources(
      { ...(region ? { region } : {}), tagFilters: [{ key: fleet.key, values: [fleet.value] }] },
      opts,
    ),
  );
  const answers = await Promise.all(asked);
  return answers.flatMap(({ resourceTagMappingLists }) =>
    resourceTagMappingLists.map(({ resourceArn, tags }) => ({ arn: resourceArn, tags })),
  );
}

/** A mount target bears no tags; the interface that it keeps in its subnet names it. */
async function mountTarget(mount: Question["mounts"][number]): Promise<Found> {
  const { ids } = await aws.ec2.getNetworkInterfaces(
    {
      filters: [
        { name: "subnet-id", values: [mount.subnetId] },
        { name: "description", values: [`*${mount.fileSystemId}*`] },
      ],
    },
    opts,
  );
  const interfaces = await Promise.all(ids.map((id) => aws.ec2.getNetworkInterface({ id }, opts)));
  const found = interfaces.flatMap(
    ({ description }) => /\bfsmt-[0-9a-f]+\b/.exec(description)?.[0] ?? [],
  );
  const [id] = found;
  return found.length === 1 && id !== undefined
    ? { urn: mount.urn, id }
    : { urn: mount.urn, id: null, candidates: found };
}

async function look(): Promise<Found[]> {
  const tagged = wanted.length > 0 ? matchTagged(wanted, await listed()) : [];
  return [...tagged, ...(await Promise.all(mounts.map(mountTarget)))];
}

/** What AWS made a moment ago, its list of tags may not show yet: what is missing is asked for again. */
async function search(): Promise<Found[]> {
  let found = await look();
  for (let looks = 1; found.some(({ id }) => id === null); looks += 1) {
    if (looks > 1 && Date.now() >= until) break;
    await sleep(AGAIN_MS);
    found = await look();
  }
  return found;
}

/** Read by whoever started this. */
export const found: readonly Found[] = await search().catch((error: unknown) => {
  throw new pulumi.RunError(`${place.accountId} does not answer: ${reasonOf(error)}`);
});
