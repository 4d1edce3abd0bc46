import { z } from "zod";
import { MAX_LOCK_DAYS } from "./catalog.ts";

/** Settings `buckets`: replicas of shards, chat logs and access logs on AWS, in S3. */
export const bucketsSettings = z.strictObject({
  chatLogHotDays: z
    .int()
    .min(1)
    .default(3)
    .describe("Days that chat logs are read at once, before they are archived. Changed any time."),
  chatLogDays: z
    .int()
    .min(1)
    .default(365)
    .describe("Days after which chat logs are deleted. Changed any time."),
  oldVersionDays: z
    .int()
    .min(1)
    .default(7)
    .describe("Days that an overwritten or deleted object can be had back. Changed any time."),
  objectLockDays: z
    .int()
    .min(0)
    .max(MAX_LOCK_DAYS)
    .default(0)
    .describe(
      "Days in which nobody deletes a version of a replica or chat log, but for those who may bypass governance. 0: no lock. Refused where the environment deletes its data; once on it stays possible, and 0 only ends it for new objects.",
    ),
  turnsPerUserDay: z
    .number()
    .min(0)
    .default(50)
    .describe(
      "Turns of a user a day, for the plan's cost alone: traffic, requests, logs and replicas follow it.",
    ),
  chatLogKiBPerTurn: z
    .number()
    .min(0)
    .default(16)
    .describe("Chat log of a turn in KiB, for the plan's cost alone."),
});

export type BucketsSettings = z.output<typeof bucketsSettings>;
