import { closest, distance } from "fastest-levenshtein";
import { CommandFailed } from "./errors.ts";

/** " Did you mean …?", or nothing when no known name is near: two slips, and not every letter. */
export function didYouMean(name: string, names: readonly string[]): string {
  const near = names.length > 0 ? closest(name, [...names]) : undefined;
  if (near === undefined) return "";
  const far = distance(name, near);
  return far <= 2 && far < Math.max(name.length, near.length) ? ` Did you mean ${near}?` : "";
}

/** Refuses a name that is not among the known ones, naming the nearest and all of them. */
export function known(kind: "node" | "shard", name: string, names: string[]): string {
  if (names.includes(name)) return name;
  throw new CommandFailed(
    `${name} is not a ${kind} of this fleet.${didYouMean(name, names)}`,
    `${kind}s: ${names.join(", ") || "none"}`,
    "./fleet status shows them",
  );
}
