import { readFileSync } from "node:fs";
import { z } from "zod";

/** `canary.json`. It holds a token, so its mode is 0640 and its reader the canary's user. */
export const canaryConfig = z.strictObject({
  version: z.literal(1),
  /** Addresses that people use, one after the other in turn. */
  endpoints: z.array(z.url()).min(1),
  /** A client token of its own, so that nobody else's goes with it and it can be taken away alone. */
  token: z.string().min(24),
  agent: z.string(),
  /** What is said. The answer may be anything but nothing. */
  message: z.string().default("Answer with one word: pong."),
  everyMs: z.number().int().positive(),
  /** Longest wait for an answer. */
  timeoutMs: z.number().int().positive(),
  slowSeconds: z.number().positive(),
  /** Where its metrics are read; on loopback. Port 0: the kernel chooses. */
  listen: z.strictObject({ host: z.string().default("127.0.0.1"), port: z.number().int() }),
});

export type CanaryConfig = z.infer<typeof canaryConfig>;

/** Throws with what is wrong, never with the token. */
export function readCanaryConfig(file: string): CanaryConfig {
  let document: unknown;
  try {
    document = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    const why = error instanceof SyntaxError ? "is not JSON" : (error as Error).message;
    throw new Error(`${file}: ${why}`);
  }
  const parsed = canaryConfig.safeParse(document);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  throw new Error(`${file}: ${faults.join("; ")}`);
}
