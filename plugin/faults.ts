import type { z } from "zod";
import type { CheckFailure, Operation } from "./handler.ts";
import { hasUnknown, type Props } from "./values.ts";

/** What zod found wrong, as Pulumi shows it: by property, with the reason. None without an error. */
export function failuresOf(error: z.ZodError | undefined): CheckFailure[] {
  return (error?.issues ?? []).map(({ path, message }) => ({
    property: path.map(String).join("."),
    reason: message,
  }));
}

/**
 * What is wrong with a resource's inputs. Those that come from resources which are not made yet are left
 * out: they are looked at when they are known.
 */
export function faultsOfKnown(shape: z.ZodObject, all: Props): CheckFailure[] {
  if (!hasUnknown(all)) return failuresOf(shape.safeParse(all).error);
  const known = Object.fromEntries(Object.entries(all).filter(([, value]) => !hasUnknown(value)));
  return failuresOf(shape.partial().safeParse(known).error);
}

/**
 * Throws when a resource of a protected stack would end with the whole stack: Pulumi's own protection is on
 * the fleet, and comes to its turn only after everything that depends on it. A change that takes it away is
 * one that the program asked for.
 * @param unharmed what is as it was, as the start of a sentence: `node a was not stopped`
 */
export function refuseIfProtected(
  isProtected: unknown,
  { programRuns }: Operation,
  unharmed: string,
): void {
  if (isProtected !== true || programRuns) return;
  throw new Error(
    `${unharmed}: the stack is protected by openclaw-fleet:environment prod. ` +
      "Set it to staging or dev and run up, then destroy",
  );
}
