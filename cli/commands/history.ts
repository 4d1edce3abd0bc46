import { type Command, InvalidArgumentError } from "commander";
import type { HistoryEntry } from "../../gateway/leases/store.ts";
import { callJson } from "../lib/api.ts";
import { fleetAccess } from "../lib/fleet.ts";
import { withJson, withStack } from "../lib/options.ts";
import { result, table } from "../lib/terminal.ts";
import { clip } from "../lib/wrap.ts";

/** A crash's last words can be a page; `--json` and `./fleet logs` have them whole. */
const DETAIL = 160;

/** What a gateway said before somebody killed it is not why it ended. */
const reasonOf = (detail: string): string =>
  detail.replace(/(signal SIG(?:KILL|TERM)): .*$/s, "$1");

const count = (text: string): number => {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1 || n > 1000) throw new InvalidArgumentError("1 to 1000");
  return n;
};

export function register(program: Command): void {
  withJson(withStack(program.command("history")))
    .summary("moves, failovers and restarts, newest last")
    .option("-n, --limit <count>", "how many", count, 20)
    .addHelpText("after", "\nExamples:\n  ./fleet history\n  ./fleet history --limit 100 --json")
    .action(async (options: { stack: string; json?: boolean; limit: number }) => {
      const access = await fleetAccess(options.stack);
      const answer = await callJson<{ entries: HistoryEntry[] }>(
        access,
        `/api/v1/history?limit=${options.limit}`,
        { as: "admin" },
      );
      result(Boolean(options.json), answer, () =>
        answer.entries.length === 0
          ? "Nothing has happened yet."
          : table(
              ["TIME (UTC)", "SHARD", "NODE", "EVENT", "DETAIL"],
              answer.entries.map((h) => [
                h.at.replace("T", " ").slice(0, 19),
                h.shard ?? "–",
                h.node ?? "–",
                h.event,
                clip(reasonOf(h.detail), DETAIL),
              ]),
            ),
      );
    });
}
