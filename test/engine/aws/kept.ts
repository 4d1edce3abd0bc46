import { leftOver } from "../../standin/mutate.ts";
import type { AwsStack } from "./harness.ts";

/** Types that hold data: none of theirs may become another by a change of size. */
const KEEPS_DATA =
  /:(ReplicationGroup|Instance|Volume|Bucket|FileSystem|Key|Secret|Cluster|Vpc|Zone)$/;

/** Ids of everything that a stack made, by URN. */
export const idsOf = (stack: AwsStack, wanted: (type: string) => boolean = () => true) =>
  stack.account((world) =>
    Object.fromEntries(
      [...world.rows.values()]
        .filter(({ type, urn }) => urn !== "" && wanted(type))
        .map(({ urn, id }) => [urn, id]),
    ),
  );

/** Ids of what holds data, by URN. */
export const holdersOf = (stack: AwsStack) => idsOf(stack, (type) => KEEPS_DATA.test(type));

/** What stood there and is another now, or gone. */
export const changedIn = (
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
) =>
  Object.entries(before)
    .filter(([key, value]) => after[key] !== value)
    .map(([key]) => key);

/** URNs that are there twice. */
export const twiceIn = (stack: AwsStack) => {
  const urns = stack.account((world) => [...world.rows.values()].map(({ urn }) => urn));
  return urns.filter((urn, i) => urn !== "" && urns.indexOf(urn) !== i);
};

/** What an account that should be empty still has. */
export const leftIn = (stack: AwsStack) => stack.account(leftOver);
