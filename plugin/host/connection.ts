import { z } from "zod";
import { anotherMachine } from "./machine.ts";
import type { HostConnection } from "./shell.ts";

/** A {@link HostConnection} as an input of resources. */
export const hostConnection = z.strictObject({
  name: z.string().min(1),
  address: z.string().min(1),
  user: z.string().optional(),
  port: z.number().int().optional(),
  identityFile: z.string().optional(),
  sshConfigHost: z.string().optional(),
  jump: z.string().optional(),
  hostKey: z.string().optional(),
  session: z
    .strictObject({
      instanceId: z.string().regex(/^i-[0-9a-f]+$/, "is no id of a machine"),
      region: z.string().min(1),
    })
    .optional(),
}) satisfies z.ZodType<HostConnection>;

/** What is known of a host from the last time that it was reached. */
export interface Seen {
  /** How it was reached then. */
  readonly host?: HostConnection;
  /** The key that it showed then. */
  readonly hostKey?: string | undefined;
}

/**
 * How to reach a host whose key was seen before: only that one is accepted, unless the person names one. What
 * another machine under its name showed does not count.
 */
export function pinned(host: HostConnection, { host: before, hostKey }: Seen): HostConnection {
  if (host.hostKey !== undefined || !hostKey || anotherMachine(before, host)) return host;
  return { ...host, hostKey };
}
