import { parseArgs } from "node:util";
import { createLogger } from "../observe/log.ts";
import { Canary } from "./canary.ts";
import { readCanaryConfig } from "./config.ts";

/** `node canary.js --config FILE [--check]`. With `--check` the file is read, and nothing else done. */
const { values } = parseArgs({
  options: { config: { type: "string" }, check: { type: "boolean", default: false } },
});
if (!values.config) {
  process.stderr.write("canary: --config is needed\n");
  process.exit(2);
}

try {
  const config = readCanaryConfig(values.config);
  if (!values.check) await run(config);
} catch (error) {
  process.stderr.write(`canary: ${(error as Error).message}\n`);
  process.exit(1);
}

async function run(config: ReturnType<typeof readCanaryConfig>): Promise<void> {
  const log = createLogger({ instanceId: "canary" });
  const canary = new Canary(config, {
    said(outcome, endpoint, seconds) {
      const took = Number(seconds.toFixed(3));
      if (outcome.kind === "answered") {
        log.info({ endpoint, shard: outcome.shard, seconds: took }, "answered");
      } else {
        log.warn({ endpoint, reason: outcome.reason, seconds: took }, outcome.detail);
      }
    },
  });
  const stop = () => void canary.stop().then(() => process.exit(0));
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  await canary.start();
  log.info({ every: `${config.everyMs / 1000} s` }, "the canary is up");
}
