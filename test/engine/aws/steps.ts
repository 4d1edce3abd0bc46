import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { AwsStack } from "./harness.ts";

/** A step of the engine, in the order in which steps began and ended. */
export interface Step {
  readonly when: "begin" | "end";
  readonly op: string;
  readonly type: string;
  readonly name: string;
}

/** One `up` that must succeed, and its steps that changed something. */
export async function upSteps(stack: AwsStack): Promise<Step[]> {
  const log = join(stack.home, "events.json");
  const run = await stack.pulumi(
    ["up", "--yes", "--skip-preview", "--stack", "test", "--event-log", log],
    { env: { PULUMI_DEBUG_COMMANDS: "true" } },
  );
  expect(run.code, run.text).toBe(0);
  return stepsOf(readFileSync(log, "utf8")).filter(({ op }) => op !== "same");
}

/** Where a step is in a list; -1 when it is not. */
export function placeOf(
  steps: readonly Step[],
  name: string,
  op: string,
  when: Step["when"],
): number {
  return steps.findIndex((s) => s.name === name && s.op === op && s.when === when);
}

function stepsOf(log: string): Step[] {
  return log
    .split("\n")
    .filter((line) => line.trim() !== "")
    .flatMap((line) => {
      const event = JSON.parse(line);
      const pre = event.resourcePreEvent?.metadata;
      const metadata = pre ?? event.resOutputsEvent?.metadata;
      if (!metadata) return [];
      const [, , type = "", name = ""] = metadata.urn.split("::");
      return [{ when: pre ? "begin" : "end", op: metadata.op, type: type.split("$").at(-1), name }];
    });
}
