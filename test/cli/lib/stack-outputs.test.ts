import { expect, test } from "vitest";
import { outputsOf } from "../../../cli/lib/stack-outputs.ts";
import { pulumiScript } from "../../support/pulumi-script.ts";

test("outputs that cannot be read are not the same as none", () => {
  const failing = (script: string) => () => outputsOf(pulumiScript(script), "vps");
  expect(outputsOf(pulumiScript("echo '{}'"), "vps")).toEqual({});
  expect(failing("echo warning >&2; echo 'error: incorrect passphrase' >&2; exit 255")).toThrow(
    expect.objectContaining({
      message: "The outputs of stack vps cannot be read",
      why: "incorrect passphrase",
    }),
  );
  expect(failing("exit 3")).toThrow(
    expect.objectContaining({ why: "Pulumi ended with exit code 3" }),
  );
  expect(() => outputsOf({ pulumi: "/nowhere/pulumi", env: {} }, "vps")).toThrow(
    expect.objectContaining({ why: expect.stringContaining("ENOENT") }),
  );
});
