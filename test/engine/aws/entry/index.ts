import { writeFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";

/**
 * The program of every stack, with a test looking over its shoulder: writes down each `dependsOn` as it
 * was given, and takes one of them away when told to (`<who waits>|<for what>`, by logical name).
 */
const file = process.env.FLEET_TEST_EDGES;
const drop = process.env.FLEET_TEST_DROP?.split("|");

const given: (readonly [pulumi.Resource, pulumi.Resource])[] = [];
const nameOf = (one: pulumi.Resource) => (one as unknown as { __name?: string }).__name;

pulumi.runtime.registerStackTransformation(({ resource, name, props, opts }) => {
  if (opts.dependsOn === undefined) return undefined;
  const list = [opts.dependsOn].flat() as pulumi.Resource[];
  for (const entry of list) given.push([resource, entry]);
  if (drop?.[0] !== name) return undefined;
  return { props, opts: { ...opts, dependsOn: list.filter((one) => nameOf(one) !== drop[1]) } };
});

const outputs = await import("../../../../stacks/index.ts");

if (file) {
  const urnOf = (one: pulumi.Resource) =>
    (one.urn as unknown as { promise(): Promise<string> }).promise();
  const lines = given.map(async ([from, to]) => {
    return `${JSON.stringify({ from: await urnOf(from), entry: await urnOf(to) })}\n`;
  });
  // Not waited for here: URNs are known only when the program has ended.
  void Promise.all(lines).then((all) => writeFileSync(file, all.join("")));
}

export default outputs.default;
