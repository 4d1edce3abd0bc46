import { type ChildProcess, spawn } from "node:child_process";
import { processStat } from "../../gateway/keeper/process.ts";
import { eventually } from "./eventually.ts";

/** A process that has ended and whose parent, which the caller ends, does not ask how. */
export async function zombie(): Promise<{ pid: number; parent: ChildProcess }> {
  const parent = spawn("/bin/sh", ["-c", "sleep 0 & echo $!; exec sleep 600"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const pid = await new Promise<number>((resolve) =>
    parent.stdout.once("data", (line: Buffer) => resolve(Number(line))),
  );
  await eventually(() => {
    if (processStat(pid)?.state !== "Z") throw new Error(`process ${pid} has not ended`);
  });
  return { pid, parent };
}
