import { z } from "zod";
import { GPU_FAMILIES, GRACE_MINUTES_MIN } from "./catalog.ts";

const window = z.strictObject({
  startHourUtc: z
    .int()
    .min(0)
    .max(23)
    .default(2)
    .describe("Hour of the day, UTC, at which replacing may begin."),
  hours: z.int().min(1).max(24).default(4).describe("How long it may begin; 24 is always."),
});

const gateways = z.strictObject({
  diskGiB: z
    .int()
    .min(20)
    .optional()
    .describe("Disk of a node, GiB; planned from the shards' state when left out."),
  graceMinutes: z
    .int()
    .min(GRACE_MINUTES_MIN)
    .default(45)
    .describe(
      "Longest drain of a node before its pods are killed, even those that must not be disturbed.",
    ),
  window: window
    .default({ startHourUtc: 2, hours: 4 })
    .describe("When nodes with an old image or old settings are replaced, one at a time."),
});

const workers = z.strictObject({
  cpuLimit: z
    .int()
    .min(0)
    .default(32)
    .describe(
      "Most vCPUs of all workers together. They come when something asks, and go when idle.",
    ),
  spot: z
    .boolean()
    .default(true)
    .describe("Take spot machines first, on-demand where there are none."),
});

/** `karpenter` in a stack's settings (target eks). */
export const karpenterSettings = z.strictObject({
  install: z
    .boolean()
    .default(true)
    .describe("Install Karpenter. false only for an adopted cluster that runs it already."),
  gateways: gateways
    .default(gateways.parse({}))
    .describe("Nodes that gateways run on: on demand, never expired."),
  workers: workers
    .default(workers.parse({}))
    .describe("Nodes of what can be started anew: browsers, jobs, monitoring."),
});

/** `gpu` in a stack's settings (target eks): off when left out. */
export const gpuSettings = z.strictObject({
  limit: z.int().min(1).describe("Most GPUs at once."),
  families: z
    .array(z.enum(GPU_FAMILIES))
    .min(1)
    .default(["g6", "g5"])
    .describe("EC2 families to take them from."),
  spot: z
    .boolean()
    .default(true)
    .describe("Take spot machines first, on-demand where there are none."),
  diskGiB: z
    .int()
    .min(50)
    .default(100)
    .describe("Disk of a node, GiB: images with CUDA are large."),
});

export type KarpenterSettings = z.output<typeof karpenterSettings>;
export type GpuSettings = z.output<typeof gpuSettings>;
