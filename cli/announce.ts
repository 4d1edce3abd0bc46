import { say } from "./lib/terminal.ts";
import { askPulumi, type PulumiRunner } from "./pulumi.ts";

/** After a good `up`: where it is, how to get in, what to try first. Results go to stdout. */
export function announce(runner: PulumiRunner, stack: string): void {
  const found = askPulumi(runner, ["stack", "output", "--json", "--stack", stack]);
  const outputs = JSON.parse(found ?? "{}") as Record<string, unknown>;
  const which = stack === "dev" ? "" : ` --stack ${stack}`;
  if (typeof outputs.endpoint !== "string") {
    say(`fleet: stack ${stack} has no endpoint yet; ./fleet status${which} says more`);
    return;
  }
  process.stdout.write(
    [
      "",
      `Ready: ${outputs.endpoint}`,
      `  talk to it   ./fleet chat${which} "hello"`,
      `  look at it   ./fleet status${which}`,
      `  token        ./fleet output token --show-secrets${which}`,
      "",
    ].join("\n"),
  );
}
