import { DAY } from "./share.ts";

/**
 * Long files of the real part that take turns in a run of everything, a group a day; what is not named here is in
 * each such run, first of all fleets on this machine and releases on hosts. A run of everything has 80 minutes, and a
 * slow machine takes a quarter longer than a quick one: what is each day's leaves room for that (decision 275).
 *
 * Groups of about ten minutes on two cores. Some files choose by date from two, four, eight or nine stacks as well: a
 * number of groups without a factor in common with these lets them meet all.
 */
export const GROUPS: readonly (readonly string[])[] = [
  ["test/fleet/channels.test.ts", "test/hosts/acme.test.ts", "test/engine/aws/beside.test.ts"],
  [
    "test/fleet/settings.test.ts",
    "test/hosts/nodes.test.ts",
    "test/hosts/replicas.test.ts",
    "test/engine/aws/changes.test.ts",
    "test/engine/aws/failures.test.ts",
  ],
  [
    "test/engine/local.test.ts",
    "test/fleet/router.test.ts",
    "test/hosts/real-release.test.ts",
    "test/components/prometheus/real/watch.test.ts",
    "test/engine/aws/zones.test.ts",
  ],
  [
    "test/fleet/openclaw.test.ts",
    "test/engine/pipeline/recover.test.ts",
    "test/hosts/ec2.test.ts",
    "test/hosts/etcd.test.ts",
    "test/hosts/compose.test.ts",
  ],
  [
    "test/fleet/replication.test.ts",
    "test/hosts/artifact.test.ts",
    "test/hosts/front-redis.test.ts",
    "test/hosts/session.test.ts",
    "test/engine/aws/fixture.test.ts",
    "test/engine/pipeline/preview.test.ts",
  ],
];

/** The variable that asks for turns: a run of everything sets it, a part or a path is run whole without it. */
export const TURNS_VARIABLE = "OPENCLAW_FLEET_TEST_TURNS";

/** `day`: with the group of the day; `none`: with none of them. */
export type Turns = "day" | "none";

/** Files that a run leaves out. @param turns as {@link TURNS_VARIABLE} has it; anything else: none are */
export function filesLeftOut(turns: string | undefined, day = DAY): string[] {
  if (turns === "day") return filesOfOtherDays(day);
  return turns === "none" ? GROUPS.flat() : [];
}

/** Files whose turn is on another day than this one (whole days since 1970, UTC). */
export function filesOfOtherDays(day = DAY): string[] {
  const today = day % GROUPS.length;
  return GROUPS.filter((_, index) => index !== today).flat();
}
