import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { processStat } from "../../gateway/keeper/process.ts";
import { eventually } from "./eventually.ts";
import { processesNaming } from "./processes.ts";

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "orphans-"));
});
afterEach(() => {
  for (const pid of processesNaming(base)) process.kill(pid, "SIGKILL");
  rmSync(base, { recursive: true, force: true });
});

/** A process that makes a daemon, as a test makes a fleet, and says `ready`. Its environment names nothing. */
async function maker(then: string) {
  const script = `
    import { spawn } from "node:child_process";
    import { endWithUs } from ${JSON.stringify(join(import.meta.dirname, "orphans.ts"))};
    const { base } = JSON.parse(process.env.WHERE.split("").reverse().join(""));
    const removed = endWithUs({ naming: base, paths: [base] });
    spawn("sleep", ["600"], { detached: true, stdio: "ignore", env: { BASE: base } }).unref();
    process.stdout.write("ready");
    ${then}
  `;
  const WHERE = JSON.stringify({ base }).split("").reverse().join("");
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { WHERE },
  });
  await once(child.stdout, "data");
  return child;
}

test.each(["SIGKILL", "SIGINT", "SIGTERM"] as const)(
  "what a test made ends with it, and its files go: %s",
  async (signal) => {
    writeFileSync(join(base, "state"), "");
    const child = await maker("setInterval(() => {}, 1000);");
    expect(processesNaming(base)).toHaveLength(1);
    child.kill(signal);
    await eventually(() => expect(existsSync(base)).toBe(false));
    expect(processesNaming(base)).toEqual([]);
  },
);

test("what the test itself took care of is left alone", async () => {
  const child = await maker("removed(); setInterval(() => {}, 1000);");
  const watching = () =>
    processesNaming("orphans-main.ts").filter((pid) => processStat(pid)?.ppid === child.pid);
  await eventually(() => expect(watching()).toEqual([]));
  child.kill("SIGKILL");
  expect(processesNaming(base)).toHaveLength(1);
  expect(existsSync(base)).toBe(true);
});
