import { say } from "./lib/terminal.ts";

/** After a good `up`: where it is, how to get in, what to try first. Results go to stdout. */
export function announce(stack: string, outputs: Readonly<Record<string, unknown>>): void {
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
      ...(ownAuthority(outputs)
        ? [
            `  trust it     ./fleet output caCertificate${which}   clients need it: nobody else vouches for the front`,
          ]
        : []),
      "",
    ].join("\n"),
  );
}

/** On AWS that output is there only where the front's certificate is the fleet's own. */
const ownAuthority = ({ target, caCertificate }: Readonly<Record<string, unknown>>): boolean =>
  target === "ec2" && typeof caCertificate === "string" && caCertificate !== "";
