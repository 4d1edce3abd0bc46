import { configDefaults, defineConfig } from "vitest/config";
import { filesLeftOut, TURNS_VARIABLE } from "./test/support/turns.ts";

/** Tests that start real programs (Pulumi's engine, OpenClaw, whole fleets, groups of servers): one file at a time. */
const REAL = [
  "test/engine/**/*.test.ts",
  "test/fleet/**/*.test.ts",
  "test/fleet-fast/**/*.test.ts",
  "test/hosts/**/*.test.ts",
  "test/gateway/sessions/redis-groups/*.test.ts",
  "test/gateway/leases/etcd/*.test.ts",
  "test/gateway/etcd/members.test.ts",
  "test/gateway/etcd/space.test.ts",
  "test/components/front/real/*.test.ts",
  "test/components/redis/real/*.test.ts",
  "test/components/prometheus/real/*.test.ts",
];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: REAL,
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "real",
          include: REAL,
          exclude: [...configDefaults.exclude, ...filesLeftOut(process.env[TURNS_VARIABLE])],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
