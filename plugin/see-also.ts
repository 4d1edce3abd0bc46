/** `See ./fleet status --stack prod and …`. @param fleet the stack's name; unknown, the commands choose it themselves */
export function seeAlso(fleet: string | undefined, ...commands: readonly string[]): string {
  const stack = fleet === undefined ? "" : ` --stack ${fleet}`;
  return `See ${commands.map((command) => `./fleet ${command}${stack}`).join(" and ")}`;
}
