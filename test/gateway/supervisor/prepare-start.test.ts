import { expect, test } from "vitest";
import type { Launch } from "../../../gateway/shard/types.ts";
import { prepareStart } from "../../../gateway/supervisor/prepare-start.ts";

const RELEASE = { id: "1.0.0", node: "/n/node", openclaw: "/o/openclaw.mjs", runtime: "/r" };
const STATE = { epoch: 1, release: RELEASE.id, stateDir: "/d", broughtHere: false };

/** Prepares one start that is given up during a step; returns the steps that were begun. */
async function steps(givenUpDuring: string | null): Promise<string[]> {
  const did: string[] = [];
  const step = async (name: string) => {
    did.push(name);
  };
  const prepared = prepareStart(
    {
      replacements: { carryOut: () => step("state") },
      trials: { prepare: () => step("trial").then(() => RELEASE.id) },
      shelf: { find: () => RELEASE },
      launch: () => step("configuration").then(() => ({}) as Launch),
    },
    "s1",
    STATE,
    () => did.at(-1) !== givenUpDuring,
  );
  await prepared.catch(({ message }: Error) => did.push(message));
  return did;
}

test.each([
  [null, ["state", "trial", "configuration"]],
  ["state", ["state", "the shard was given up meanwhile"]],
  ["trial", ["state", "trial", "the shard was given up meanwhile"]],
])("a start that is given up during %s goes no further", async (during, expected) => {
  expect(await steps(during)).toEqual(expected);
});
