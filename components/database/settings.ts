import { z } from "zod";
import { MAX_BACKUP_DAYS, MAX_CONNECTIONS, STORAGE_GIB } from "./catalog.ts";

/** Settings `database`: PostgreSQL on AWS for the agents' knowledge (pgvector). */
export const databaseSettings = z.strictObject({
  instanceClass: z
    .string()
    .optional()
    .describe(
      "Instance class, e.g. db.m7g.large; the smallest that takes the connections when left out. A change stops the database for about a minute.",
    ),
  connections: z
    .int()
    .min(1)
    .max(MAX_CONNECTIONS)
    .optional()
    .describe("Connections that clients keep open together; from nodes when left out."),
  storageGiB: z
    .int()
    .min(STORAGE_GIB.min)
    .max(STORAGE_GIB.max)
    .optional()
    .describe(
      "Disk in GiB, grown by AWS when it is full; from users when left out. Grown while it runs; a smaller number than the database has is an error, since RDS never shrinks a disk.",
    ),
  knowledgeMiBPerUser: z
    .number()
    .positive()
    .default(20)
    .describe("Knowledge of one user in MiB, texts and vectors; indexes are added to it."),
  proxy: z
    .boolean()
    .optional()
    .describe(
      "RDS Proxy before the database: keeps connections through a failover and shares them. From 300 connections on when left out.",
    ),
  backupDays: z
    .int()
    .min(0)
    .max(MAX_BACKUP_DAYS)
    .optional()
    .describe(
      "Days of automatic backups, 0 turns them off; as the environment keeps backups when left out. Turning them on or off stops the database for about a minute.",
    ),
});

export type DatabaseSettings = z.output<typeof databaseSettings>;
