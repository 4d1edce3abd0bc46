import { z } from "zod";
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

/** How to reach a host whose key was seen before: only that one is accepted, unless the person names one. */
export function pinned(host: HostConnection, seenKey: string | undefined): HostConnection {
  return host.hostKey === undefined && seenKey ? { ...host, hostKey: seenKey } : host;
}
