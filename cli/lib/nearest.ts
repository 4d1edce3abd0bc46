import { closest, distance } from "fastest-levenshtein";
import { CommandFailed } from "./errors.ts";

/** Refuses a name that is not among the known ones, naming the nearest and all of them. */
export function known(kind: "node" | "shard", name: string, names: string[]): string {
  if (names.includes(name)) return name;
  const near = names.length > 0 ? closest(name, names) : undefined;
  const meant = near !== undefined && distance(name, near) <= 2 ? ` Did you mean ${near}?` : "";
  throw new CommandFailed(
    `${name} is not a ${kind} of this fleet.${meant}`,
    `${kind}s: ${names.join(", ") || "none"}`,
    "./fleet status shows them",
  );
}
