import { expect, test, vi } from "vitest";
import { goOnOptions } from "../../../cli/lib/go-on.ts";

const target = vi.hoisted(() => ({ of: "" }));
vi.mock("../../../cli/settings.ts", () => ({ rawSettings: () => ({ target: target.of }) }));

test.each([
  ["hosts", [], ["--continue-on-error"]],
  ["hosts", ["--diff"], ["--continue-on-error"]],
  ["hosts", ["--continue-on-error"], []],
  ["hosts", ["--continue-on-error=false"], []],
  ["ec2", [], []],
  ["eks", [], []],
  ["local", [], []],
])("of %s with %j: %j", (of, args, options) => {
  target.of = of;
  expect(goOnOptions("prod", args)).toEqual(options);
});
