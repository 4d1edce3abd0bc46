import { expect, test } from "vitest";
import * as rules from "../../policies/one-writer.ts";
import { resourceCases, stackCases } from "./cases.ts";
import { POD, RESOURCES, STACKS } from "./one-writer-cases.ts";
import { local, routers, shard } from "./runtime.ts";
import { judge, type Made, UNKNOWN_TEXT, withUnknown, withValue } from "./support.ts";

resourceCases(RESOURCES);
stackCases(STACKS);

test("what all agents read may lie on a shared file system, as long as it is read-only", () => {
  const writable = withValue(shard(), `${POD}.containers.0.volumeMounts.1.readOnly`, false);
  expect(judge(rules.fileSystem, shard()).found).toEqual([]);
  expect(judge(rules.fileSystem, writable).found).toEqual([
    "driver of volume skills is efs.csi.aws.com",
  ]);
});

test.each(["DaemonSet", "ReplicaSet", "Job", "CronJob"])("a %s never owns a shard", (kind) => {
  const one = { ...shard(), type: `kubernetes:apps/v1:${kind}` };
  const known = kind.endsWith("Job") ? { ...one, type: `kubernetes:batch/v1:${kind}` } : one;
  expect(judge(rules.oneReplica, known).found.join()).toContain(`a ${kind} owns the shard`);
});

test("a Deployment owns one only if it stops the old pod first", () => {
  const one = { ...shard(), type: "kubernetes:apps/v1:Deployment" };
  expect(judge(rules.oneReplica, one).found).toEqual(["spec.strategy.type is not set"]);
  const rolling = withValue(one, "spec.strategy.type", "RollingUpdate");
  expect(judge(rules.oneReplica, rolling).found).toEqual(["spec.strategy.type is RollingUpdate"]);
  expect(judge(rules.oneReplica, withValue(one, "spec.strategy.type", "Recreate")).found).toEqual(
    [],
  );
  expect(judge(rules.oneReplica, withUnknown(one, "spec.strategy.type")).found).toHaveLength(1);
});

test("routers, which own nothing, may be several", () => {
  expect(judge(rules.oneReplica, routers()).found).toEqual([]);
  expect(
    judge(rules.grace, withValue(routers(), `${POD}.terminationGracePeriodSeconds`, 30)).found,
  ).toEqual([]);
});

test("each shard, volume, folder and node has one owner", () => {
  const found = (...all: Made[]) => judge(rules.ownState, all).found;
  const claim = (made: Made, claimName: string) =>
    withValue(made, `${POD}.volumes`, [{ name: "own", persistentVolumeClaim: { claimName } }]);
  expect(found(shard("s1"), shard("s2"), routers())).toEqual([]);
  expect(found(shard("s1"), shard("s1", "copy"))).toEqual([
    "team-copy and team-shard-s1 share shard (namespace fleet) s1",
  ]);
  expect(found(claim(shard("s1"), "disk"), claim(shard("s2"), "disk"))).toEqual([
    "team-shard-s2 and team-shard-s1 share claim (namespace fleet) disk",
  ]);
  const fleet = local("Fleet", { dataDir: "/var/lib/a" }, "one");
  expect(found(fleet, local("Fleet", { dataDir: "/var/lib/b" }, "two"))).toEqual([]);
  expect(found(fleet, local("Fleet", { dataDir: "/var/lib/a" }, "two"))).toEqual([
    "team-two and team-one share folder /var/lib/a",
  ]);
  const node = (id: string, name: string) =>
    local("Node", { dataDir: "/var/lib/a", node: id }, name);
  expect(found(node("a", "n1"), node("b", "n2"))).toEqual([]);
  expect(found(node("a", "n1"), node("a", "n2"))).toHaveLength(1);
});

test("what is not known is compared with nothing: the shard's lease decides", () => {
  const hidden = (name: string) =>
    withValue(
      withValue(shard("s1", name), "metadata.labels", UNKNOWN_TEXT),
      "spec.template.metadata.labels",
      UNKNOWN_TEXT,
    );
  expect(judge(rules.ownState, [hidden("a"), hidden("b")]).found).toEqual([]);
});
