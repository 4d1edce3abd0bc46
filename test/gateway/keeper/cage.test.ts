import { describe } from "vitest";
import { openCages } from "../../../gateway/keeper/cage.ts";
import { findCgroupBase } from "../../../gateway/keeper/cage-cgroup.ts";
import { cageContract } from "../../contracts/cage.ts";

describe.skipIf(findCgroupBase() === null)("cgroup cage", () => {
  cageContract((node) => openCages({ fleet: "test-cages", node, kind: "cgroup" }));
});

describe("session cage", () => {
  cageContract((node) => openCages({ fleet: "test-cages", node, kind: "session" }));
});
