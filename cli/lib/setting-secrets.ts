import { type PulumiRunner, tryPulumi } from "../pulumi.ts";
import { CommandFailed } from "./errors.ts";
import { secretsOf } from "./support-parts.ts";

/** One entry of `pulumi config --json`; `objectValue` where the value is an object or a list. */
interface ConfigEntry {
  readonly value?: unknown;
  readonly objectValue?: unknown;
  readonly secret: boolean;
}

/**
 * Keys of providers and of bots as the settings have them, to be taken out of what is handed on: what Pulumi keeps
 * encrypted, and what `env:NAME` stands for here.
 * @throws CommandFailed when Pulumi cannot read them
 */
export function settingSecrets(
  runner: PulumiRunner,
  stack: string,
  settings: Readonly<Record<string, unknown>>,
  env: NodeJS.ProcessEnv = process.env,
): string[] {
  const found = tryPulumi(runner, ["config", "--show-secrets", "--json", "--stack", stack]);
  if ("why" in found) {
    throw new CommandFailed(`The secrets of stack ${stack} cannot be read`, found.why);
  }
  const entries = Object.values(JSON.parse(found.out) as Record<string, ConfigEntry>);
  return [
    ...entries
      .filter(({ secret }) => secret)
      .flatMap(({ value, objectValue }) => secretsOf(objectValue ?? value)),
    ...namedIn(settings).flatMap((name) => secretsOf(env[name])),
  ];
}

/**
 * What a person is told whose shell lacks variables that `env:NAME` names: their values went to the nodes from another
 * shell, and here nobody knows what to look for. Null when all are set.
 */
export function unknownHere(
  settings: Readonly<Record<string, unknown>>,
  env: NodeJS.ProcessEnv = process.env,
): string | null {
  const names = [...new Set(namedIn(settings))].filter((name) => !env[name]);
  if (names.length === 0) return null;
  const [are, stand, them] =
    names.length === 1 ? ["is", "it stands", "it"] : ["are", "they stand", "them"];
  return `fleet: ${names.join(", ")} ${are} not set in this shell: what ${stand} for cannot be recognised in logs, and is not taken out. Set ${them} and run this again`;
}

/** Names in `env:NAME`, wherever they stand. */
function namedIn(value: unknown): string[] {
  if (typeof value === "string") return /^env:(\w+)$/.exec(value)?.slice(1) ?? [];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(namedIn);
}
