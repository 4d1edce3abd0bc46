import { z } from "zod";
import { MAX_SNAPSHOT_DAYS } from "./catalog.ts";

/** Settings `cache`: sessions, limits and stored answers of targets on AWS, in ElastiCache for Valkey. */
export const cacheSettings = z.strictObject({
  clusterMode: z
    .boolean()
    .default(true)
    .describe(
      "Valkey's cluster protocol, also with one shard, so that more shards come without replacing the store. false is for clients that do not know clusters. Chosen once: on after off replaces the store (sessions are rebuilt, stored answers are lost), off after on is refused.",
    ),
  nodeType: z
    .string()
    .optional()
    .describe(
      "Node type, e.g. cache.r7g.large; the smallest that holds the users' data when left out. Changed while it runs.",
    ),
  sessionsPerUser: z
    .int()
    .min(1)
    .default(20)
    .describe("Conversations of a user that the store remembers the shard of."),
  bytesPerSession: z
    .int()
    .min(64)
    .default(512)
    .describe("Bytes of one remembered conversation, with Valkey's own overhead."),
  answersPerUserDay: z
    .int()
    .min(0)
    .default(50)
    .describe(
      "Requests with an Idempotency-Key of a user a day; their answers are kept for a day.",
    ),
  bytesPerAnswer: z
    .int()
    .min(64)
    .default(8192)
    .describe("Bytes of one kept answer, on average; the largest kept one is 1 MiB."),
  snapshotDays: z
    .int()
    .min(0)
    .max(MAX_SNAPSHOT_DAYS)
    .optional()
    .describe(
      "Days that automatic snapshots are kept, 0 turns them off; as the environment keeps backups when left out. Changed while it runs.",
    ),
});

export type CacheSettings = z.output<typeof cacheSettings>;
