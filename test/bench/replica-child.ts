/** A replicator in a process of its own, to be measured and killed. Says a line of JSON after every step that sent something. */
import { bootClock } from "../../gateway/clock.ts";
import { ReplicationLoop } from "../../gateway/replication/loop.ts";
import { openSites } from "../../gateway/replication/open.ts";
import { Replicator } from "../../gateway/replication/replicator.ts";
import { replicationConfig } from "../../gateway/replication/settings.ts";
import { systemTimers } from "../../gateway/shard/timers.ts";

const [stateDir = "", staging = "", settings = ""] = process.argv.slice(2);
const sites = openSites(replicationConfig.parse(JSON.parse(settings)), {
  fleet: "bench",
  node: "n1",
  clock: bootClock,
  timers: systemTimers,
});
const [site = null] = sites.preferred("s1");
const replicator = new Replicator({
  fleet: "bench",
  shard: "s1",
  writer: { epoch: 1, node: "n1", incarnation: "i1" },
  parents: [],
  release: "bench",
  stateDir,
  staging,
  target: sites.target("s1", site),
  clock: bootClock,
  log: (level, message) => process.stderr.write(`${level}: ${message}\n`),
});
const loop = new ReplicationLoop({
  replicator,
  clock: bootClock,
  timers: systemTimers,
  onStep: (step) => {
    if (step.bytes === 0 && step.outcome !== "failed") return;
    const { seq, changes } = replicator.position();
    process.stdout.write(`${JSON.stringify({ ...step, seq, changes })}\n`);
  },
  onFenced: (reason) => process.stderr.write(`fenced: ${reason}\n`),
});
loop.start();
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
