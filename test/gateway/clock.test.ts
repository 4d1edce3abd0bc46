import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { bootClock, bootId } from "../../gateway/clock.ts";

const OTHER = `import { bootClock, bootId } from ${JSON.stringify(
  new URL("../../gateway/clock.ts", import.meta.url).href,
)}; console.log(JSON.stringify([bootClock.now(), bootId()]));`;

it("is one clock for every process of a machine, and one boot", () => {
  const before = bootClock.now();
  const run = execFileSync(process.execPath, ["--input-type=module", "-e", OTHER]);
  const [inside, boot] = JSON.parse(run.toString()) as [number, string];
  expect(inside).toBeGreaterThanOrEqual(before);
  expect(bootClock.now()).toBeGreaterThanOrEqual(inside);
  expect(bootId()).toBe(boot);
});

it("does not follow the wall clock", () => {
  const realNow = Date.now;
  try {
    const before = bootClock.now();
    Date.now = () => realNow() - 1e12;
    expect(bootClock.now()).toBeGreaterThanOrEqual(before);
    Date.now = () => realNow() + 1e12;
    expect(bootClock.now()).toBeLessThan(before + 1e11);
  } finally {
    Date.now = realNow;
  }
});
