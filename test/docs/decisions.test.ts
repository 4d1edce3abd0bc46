import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { decisionsIndex, INDEX_FILE } from "./decisions-index.ts";

test("the index names every decision: node test/docs/decisions-index.ts", () => {
  expect(readFileSync(INDEX_FILE, "utf8")).toBe(decisionsIndex());
});
