import { paint } from "../lib/terminal.ts";
import { columnsOf, wrap } from "../lib/wrap.ts";

/** What `doctor` found out about one thing. */
export interface Check {
  id: string;
  /** `warn`: it works, or will, but a person should know. `fail`: it does not. */
  state: "ok" | "warn" | "fail";
  /** The fact, with its number. */
  text: string;
  /** Why this was chosen, or what follows from it. */
  why?: string;
  /** What to do; always there when the state is not ok. */
  fix?: string;
}

const MARKS = { ok: "✓", warn: "!", fail: "✗" } as const;
const COLOURS = { ok: "green", warn: "yellow", fail: "red" } as const;

/** One line a check, the reason and the way out below those that need them. */
export function render(checks: readonly Check[], columns = columnsOf()): string {
  const width = Math.max(...checks.map(({ id }) => id.length));
  const deep = width + 4;
  const below = (text: string) => wrap(`${" ".repeat(deep)}${text}`, columns, deep);
  const lines = checks.flatMap(({ id, state, text, why, fix }) => {
    const [first = "", ...more] = text.split("\n");
    return [
      wrap(`${paint(COLOURS[state], MARKS[state])} ${id.padEnd(width)}  ${first}`, columns, deep),
      ...more.map(below),
      ...(why ? [below(why)] : []),
      ...(fix && state !== "ok" ? [below(`do: ${fix}`)] : []),
    ];
  });
  return [...lines, "", summary(checks)].join("\n");
}

function summary(checks: readonly Check[]): string {
  const count = (state: Check["state"]) => checks.filter((check) => check.state === state).length;
  const failed = count("fail");
  const warned = count("warn");
  if (failed === 0 && warned === 0) return "All is well.";
  return `${failed} wrong, ${warned} to know, ${count("ok")} well.`;
}
