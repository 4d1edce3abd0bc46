import type { FleetConfig } from "../gateway/config.ts";
import { isSecretName } from "../stacks/secrets.ts";
import { type Props, seal } from "./values.ts";

/** Inputs of a fleet that was deployed without this state. Planned memory is not in its file. */
export function importInputs(dataDir: string, config: FleetConfig): Props {
  const { version: _, shards, agents, tokens, ...rest } = config;
  const dedicated = (name: string) =>
    shards.every((s) => !s.agents.includes(name) || s.agents.length === 1) && name !== "main";
  const inputs = {
    ...rest,
    dataDir,
    keepData: true,
    memoryMiB: 0,
    diskMiB: 0,
    shards: Object.fromEntries(
      shards.map((s) => [s.id, { memoryMiB: 0, recycleMiB: s.recycleMiB }]),
    ),
    agents: Object.fromEntries(
      agents.map(({ name, ...a }) => [
        name,
        { ...a, placement: dedicated(name) ? "dedicated" : "shared" },
      ]),
    ),
    tokens: { client: tokens.client, admin: tokens.admin },
  };
  return seal(inputs, isSecretName) as Props;
}
