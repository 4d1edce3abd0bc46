import { certificateKind } from "../stacks/hosts/plan.ts";
import type { Settings } from "../stacks/settings.ts";
import { stackOption } from "./lib/options.ts";
import { say } from "./lib/terminal.ts";
import { rawSettings } from "./settings.ts";

/** Where routers answer at the fleet's address, with their page. */
const PAGE_TARGETS = ["local", "hosts", "ec2"];

/** After a good `up`: where it is, how to get in, what to try first. Results go to stdout. */
export function announce(
  stack: string,
  outputs: Readonly<Record<string, unknown>>,
  settings: Readonly<Record<string, unknown>> = rawSettings(stack),
): void {
  const which = stackOption(stack);
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
      ...(PAGE_TARGETS.includes(String(outputs.target))
        ? [
            `  in a browser ${outputs.endpoint}/status   asks for ./fleet output adminToken --show-secrets${which}`,
          ]
        : []),
      `  token        ./fleet output token --show-secrets${which}`,
      ...(ownAuthority(outputs, settings)
        ? [
            `  trust it     ./fleet output caCertificate${which}   clients need it: nobody else vouches for the front`,
          ]
        : []),
      "",
    ].join("\n"),
  );
}

/**
 * On AWS that output is there only where the front's certificate is the fleet's own. On hosts it always is: the
 * settings say whose certificate people meet.
 */
function ownAuthority(
  { target, caCertificate }: Readonly<Record<string, unknown>>,
  settings: Partial<Pick<Settings, "front" | "domain">>,
): boolean {
  if (typeof caCertificate !== "string" || caCertificate === "") return false;
  if (target !== "hosts") return target === "ec2";
  const front = { ...settings.front } as Settings["front"];
  return front.kind !== "none" && certificateKind({ front, domain: settings.domain }) === "fleet";
}
