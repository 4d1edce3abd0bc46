import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { processStat } from "../../gateway/keeper/process.ts";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import { eventually } from "../support/eventually.ts";

const PARENT = join(PROJECT_ROOT, "toolchain", "parent.ts");

const runs = (pid: number): boolean => !["Z", undefined].includes(processStat(pid)?.state);

test("a program sees that who started it was killed, and stays while that one lives", async () => {
  // Somebody in between starts it, says its number, and is killed.
  const child = `import { whenParentEnds } from ${JSON.stringify(PARENT)};
    whenParentEnds(() => process.exit(0));
    setInterval(() => process.stdout.write("."), 100);`;
  const between = `const { spawn } = require("node:child_process");
    const args = ["--input-type=module", "-e", ${JSON.stringify(child)}];
    const one = spawn(process.execPath, args, { detached: true, stdio: ["ignore", "pipe", "ignore"] });
    one.stdout.once("data", () => process.stdout.write(String(one.pid)));`;
  const parent = spawn(process.execPath, ["-e", between], { stdio: ["ignore", "pipe", "ignore"] });
  const [said] = (await once(parent.stdout, "data")) as [Buffer];
  const pid = Number(String(said));
  expect(runs(pid)).toBe(true);
  parent.kill("SIGKILL");
  await eventually(() => expect(runs(pid)).toBe(false), 20_000);
});
