/** Holds a lease, then hangs its main thread for good. Argument: path of the lease database. */
import { once } from "node:events";
import { writeSync } from "node:fs";
import { LeaseAgent } from "../../../gateway/leases/agent.ts";
import { acquireRequest, nodeRecord } from "../../contracts/lease-fixtures.ts";

const agent = new LeaseAgent({
  store: { kind: "sqlite", path: process.argv[2] ?? "" },
  extendFd: null,
  timings: { renewEveryMs: 50, retryEveryMs: 50, mainSilenceMs: 500 },
  signOfLifeMs: 20,
});
agent.start();
await agent.acquire(acquireRequest("n1", 1, null));
const { beat: _, ...report } = nodeRecord("n1");
agent.setReport(report);
await once(agent, "renewed");
writeSync(1, "hanging\n");
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
