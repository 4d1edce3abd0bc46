import { z } from "zod";
import { IDLE_DAYS } from "./catalog.ts";

const idleDays = z.int().refine((days) => (IDLE_DAYS as readonly number[]).includes(days), {
  error: `one of ${IDLE_DAYS.join(", ")}`,
});

/** Settings `files`: skills and knowledge that all nodes on AWS read, in EFS. */
export const filesSettings = z.strictObject({
  storedGiB: z
    .number()
    .positive()
    .default(10)
    .describe("Files in GiB, for the plan's cost alone: the file system grows by itself."),
  idleAfterDays: idleDays
    .default(30)
    .describe(
      `Days after which an untouched file moves to a cheaper class; it comes back when read. One of ${IDLE_DAYS.join(", ")}. Changed while it runs.`,
    ),
  archiveAfterDays: idleDays
    .default(90)
    .describe(
      `Days after which an untouched file is archived; it comes back when read, more slowly. 90 or more, and more than idleAfterDays. Changed while it runs.`,
    ),
});

export type FilesSettings = z.output<typeof filesSettings>;
