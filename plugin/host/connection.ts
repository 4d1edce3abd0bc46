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
}) satisfies z.ZodType<HostConnection>;
