import { expect, test } from "vitest";
import { runCommand } from "../../../../plugin/host/agent/system.ts";

test("a command reads what it is given, and nothing otherwise", async () => {
  expect((await runCommand(["cat"], { stdin: "hush" })).stdout).toBe("hush");
  expect(await runCommand(["cat"])).toEqual({ code: 0, stdout: "", stderr: "" });
});

test("one that ends without reading is known by its exit code", async () => {
  expect((await runCommand(["false"], { stdin: "x".repeat(2 ** 20) })).code).toBe(1);
  expect((await runCommand(["/no/such/program"], { stdin: "hush" })).code).toBe(127);
});
