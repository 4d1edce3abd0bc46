import { expect, test } from "vitest";
import { UsageError } from "../../cli/lib/errors.ts";
import { checkPulumiOptions } from "../../cli/pulumi-options.ts";

const PULUMI = process.env.OPENCLAW_FLEET_PULUMI ?? "";

/** What the command line is told; null: its options are Pulumi's. */
function told(verb: string, ...args: string[]): string | null {
  try {
    checkPulumiOptions(PULUMI, verb, args);
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as Error).message;
  }
}

test.skipIf(PULUMI === "")("only what Pulumi's command takes is handed on", () => {
  expect(told("up", "--diff", "--target", "urn:x", "-p", "2", "--config=a=b")).toBeNull();
  expect(told("stack output", "token", "--show-secrets")).toBeNull();
  expect(told("up", "--stcak", "prod")).toBe(
    "up has no option --stcak. Did you mean --stack? ./fleet pulumi up --help lists them",
  );
  expect(told("destroy", "--targt", "x")).toContain("Did you mean --target?");
  expect(told("stack output", "-Z")).toContain("stack output has no option -Z");
  expect(told("destroy", "--exclude")).toBe("destroy: flag needs an argument: --exclude");
  expect(told("up", "--parallel", "many")).toContain('up: invalid argument "many"');
});

test("without an option nothing is asked", () => {
  expect(() => checkPulumiOptions("/no/such/program", "stack output", ["token"])).not.toThrow();
});
