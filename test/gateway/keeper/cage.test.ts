import { describe, expect, test } from "vitest";
import { openCages } from "../../../gateway/keeper/cage.ts";
import { findCgroupBase, recordedCgroupCages } from "../../../gateway/keeper/cage-cgroup.ts";
import { cageContract } from "../../contracts/cage.ts";

describe.skipIf(findCgroupBase() === null)("cgroup cage", () => {
  cageContract((node) => openCages({ fleet: "test-cages", node, kind: "cgroup" }));
});

describe("session cage", () => {
  cageContract((node) => openCages({ fleet: "test-cages", node, kind: "session" }));
});

test("a recorded root is this node's, below the mount, and still there", () => {
  const node = { fleet: "test-cages", node: "none" };
  for (const root of [
    "",
    "openclaw-fleet/test-cages/none",
    "openclaw-fleet/test-cages/other",
    "../openclaw-fleet/test-cages/none",
    "system.slice",
  ]) {
    expect(recordedCgroupCages(root, node.fleet, node.node), root).toBeNull();
  }
});

test.skipIf(findCgroupBase() === null)("a recorded root is found again", () => {
  const cages = openCages({ fleet: "test-cages", node: "recorded", kind: "cgroup" });
  try {
    const again = recordedCgroupCages(cages.root as string, "test-cages", "recorded");
    expect(again?.root).toBe(cages.root);
  } finally {
    cages.dispose();
  }
});
