/** Timings of a shard's gateway, milliseconds unless the name says otherwise. */
export const RUNNER = {
  /** Pause between two looks at a gateway that boots: what it adds to a boot is half of it. */
  bootProbeMs: 100,
  /**
   * A gateway that does not serve this long after its start failed to start. A cold boot takes about 10 s,
   * and took 88 s where eight programs shared each core.
   */
  startDeadlineMs: 180_000,
  /** Failed starts in a row before it is given up here. */
  failedStarts: 3,
  /** OpenClaw's exit code for what no retry can mend: no config, refused bind, owned state. */
  hopelessExit: 78,
  /**
   * It says so as well when a helper of its own did not start within its 5 s, which passes with whatever kept the
   * machine busy (seen with nine programs for each core).
   */
  passingFault: /heartbeat did not become ready/,
  /** While serving: pause between probes, and how long one may take. */
  probeEveryMs: 2_000,
  probeTimeoutMs: 2_000,
  /** Without a good probe for this long, and over this many probes, it hangs. */
  hungMs: 20_000,
  hungProbes: 5,
  /** Pauses before restarts in place; the last one repeats. Shortened by up to half, by chance. */
  backoffMs: [0, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000],
  /** Serving this long makes the next crash the first one. */
  backoffResetMs: 600_000,
  /** From SIGTERM to SIGKILL of a gateway without turns; an idle one took 1.3 s. */
  stopBudgetMs: 15_000,
  /** Memory samples in a row above the limit before a recycle. */
  memorySamples: 3,
  /**
   * Times the limit of a recycle: what the kernel lets a gateway's cage have where it can be told. A
   * recycle waits for running turns, which may take more meanwhile; beyond this it is a leak.
   */
  memoryMaxFactor: 1.5,
  /** A recycle begins at a random moment within this time, so that a fleet does not do it in step. */
  recycleJitterMs: 30_000,
} as const;
