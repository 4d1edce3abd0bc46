import { expect, test } from "vitest";
import { parse } from "yaml";
import { saltFirst } from "../../cli/pulumi.ts";

const WRITTEN = "# Mine.\nconfig:\n  openclaw-fleet:target: local # here\n";
const SALT = "encryptionsalt: v1:abc=:v1:def==\n";

test("a setting added at the end of a new stack's file is a setting", () => {
  const moved = saltFirst(WRITTEN + SALT);
  const read = parse(`${moved}  openclaw-fleet:nodes: 3\n`) as Record<string, object>;
  expect(read.encryptionsalt).toBe("v1:abc=:v1:def==");
  expect(read.config).toEqual({ "openclaw-fleet:target": "local", "openclaw-fleet:nodes": 3 });
  expect(moved).toContain(WRITTEN);
});

test("a file whose salt is not last is a person's, and stays as it is", () => {
  expect(saltFirst(SALT + WRITTEN)).toBe(SALT + WRITTEN);
  expect(saltFirst(WRITTEN)).toBe(WRITTEN);
  expect(saltFirst(saltFirst(WRITTEN + SALT))).toBe(saltFirst(WRITTEN + SALT));
});
