import { readdirSync, readFileSync } from "node:fs";

/** Pids of the processes, without this one, whose command line or environment holds a text. */
export function processesNaming(text: string): number[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .filter((entry) => {
      try {
        const state = /^\d+ \(.*\) (\S)/s.exec(readFileSync(`/proc/${entry}/stat`, "latin1"))?.[1];
        if (state === "Z") return false;
        return ["cmdline", "environ"].some((file) =>
          readFileSync(`/proc/${entry}/${file}`, "utf8").includes(text),
        );
      } catch {
        return false;
      }
    })
    .map(Number);
}
