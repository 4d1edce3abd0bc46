import { provider } from "../../drill/fleet.ts";
import type { TestHosts } from "./lab.ts";

/**
 * Lines of a stack file that make a fleet of a lab's hosts. Values are what YAML reads: JSON.
 * @param settings besides, or instead of, what all such stacks have
 */
export function hostsSettings(lab: TestHosts, settings: Record<string, unknown>): string[] {
  const all = {
    target: "hosts",
    environment: "staging",
    front: { certificate: "fleet" },
    hosts: lab.hosts.map(({ name }) => lab.connection(name)),
    ...settings,
  };
  return Object.entries(all).map(
    ([name, value]) => `openclaw-fleet:${name}: ${JSON.stringify(value)}`,
  );
}

/** Key of {@link modelSettings} in the environment of a deployment, as a person has one. */
export const MODEL_ENV = { DRILL_KEY: "not-a-secret" };

/** `models` of a stack whose agents ask this model, by a key that comes from the environment. */
export function modelSettings(url: string): object {
  const drill = { ...provider(url), apiKey: "env:DRILL_KEY" };
  return { primary: "drill/echo", providers: { drill } };
}
