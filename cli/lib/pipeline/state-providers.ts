import type { PulumiRunner } from "../../pulumi.ts";
import { ensureProviders } from "../plugins.ts";
import { stateOf } from "./state.ts";

/** Comes with the project. */
const OWN: readonly string[] = ["openclaw", "pulumi"];

/** Gets the providers of what a stack's state holds, also where its settings are not in this clone. */
export async function ensureStateProviders(runner: PulumiRunner, stack: string): Promise<void> {
  const { resources } = stateOf(runner, stack);
  const names = resources
    .map(({ type }) => /^pulumi:providers:([\w-]+)$/.exec(type)?.[1])
    .filter((name) => name !== undefined && !OWN.includes(name));
  await ensureProviders(runner, [...new Set(names as string[])]);
}
