import { z } from "zod";

/** More than this a minute is no limit; a bucket counts in steps of a millisecond. */
const MOST_REQUESTS = 60_000;

const rates = (whose: string) =>
  z.strictObject({
    requestsPerMinute: z
      .int()
      .min(1)
      .max(MOST_REQUESTS)
      .optional()
      .describe(
        `Requests of ${whose} a minute; so many may come at once. Not limited when left out.`,
      ),
    tokensPerMinute: z
      .int()
      .min(1)
      .optional()
      .describe(
        `Model tokens of ${whose} a minute, counted when they were used. Not limited when left out.`,
      ),
  });

/** `openclaw-fleet:limits`. */
export const limitsSettings = z.strictObject({
  perToken: rates("each client token").optional().describe("What one client may use."),
  perAgent: rates("each agent")
    .optional()
    .describe("What all callers together may use of one agent."),
});
