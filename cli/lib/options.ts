import { type Command, InvalidArgumentError } from "commander";

/** `--stack NAME`, as every command takes it. */
export const withStack = (command: Command): Command =>
  command.option("-s, --stack <name>", "the stack to work on", "dev");

/**
 * The same where no stack is worked on: taken, so that no command refuses what all take, and without effect. `why`
 * goes into the help.
 */
export const withAnyStack = (command: Command, why: string): Command =>
  command.option("-s, --stack <name>", `accepted by every command; ${why}`);

/** How a command's advice names the stack it is about; nothing for the one that commands take by themselves. */
export const stackOption = (stack: string): string => (stack === "dev" ? "" : ` --stack ${stack}`);

/** `--json`: stdout holds one document with the same facts as the text, and nothing else. */
export const withJson = (command: Command): Command =>
  command.option("--json", "print one JSON document instead of text");

/** True when a person sits at this end and can be asked. */
export const canAsk = (): boolean => Boolean(process.stdin.isTTY && process.stderr.isTTY);

/** `30s`, `5m`, `250ms`, `2h` in milliseconds; null when it is none of these. */
export function duration(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  if (!match) return null;
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] as "ms" | "s" | "m" | "h"];
  return Number(match[1]) * unit;
}

/** `--wait DURATION`, for commands that only one run at a time may do. */
export const withWait = (command: Command): Command =>
  command.option(
    "--wait <duration>",
    "wait that long (90s, 10m) for another run that changes the stack",
    (text: string): number => {
      const ms = duration(text);
      if (ms === null) throw new InvalidArgumentError("a duration such as 90s, 5m or 1h");
      return ms;
    },
    0,
  );
