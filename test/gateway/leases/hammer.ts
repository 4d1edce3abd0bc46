/**
 * A process that takes, renews and gives up one lease as fast as it can, with others doing the same.
 * Arguments: path, node id, number of rounds. Prints the epochs it was given, as JSON.
 */
import { SqliteLeaseStore } from "../../../gateway/leases/sqlite.ts";
import { type Lease, StoreUnavailable } from "../../../gateway/leases/store.ts";
import { acquireRequest, heldBy, nodeRecord } from "../../contracts/lease-fixtures.ts";

const [path = "", node = "", rounds = "0"] = process.argv.slice(2);
const store = new SqliteLeaseStore({ path, busyMs: 20_000, log: { warn() {}, error() {} } });
const epochs: number[] = [];
const kept: number[] = [];
let unavailable = 0;

async function round(n: number): Promise<void> {
  const row: Lease | undefined = (await store.read()).leases.s1;
  const expected = row ? { epoch: row.epoch, beat: row.beat, owner: row.owner } : null;
  const epoch = (row?.epoch ?? 0) + 1;
  const lease = await store.acquire(acquireRequest(node, epoch, expected));
  if (!lease) return;
  epochs.push(lease.epoch);
  const renewal = { node: nodeRecord(node), held: [{ ...heldBy(epoch), until: 0 }] };
  if ((await store.renew(renewal)).kept.length > 0) kept.push(epoch);
  if (n % 3 === 0) {
    const incarnation = `inc-${node}`;
    const rest = { position: null, handTo: null, reason: "hammer" };
    await store.release({ shard: "s1", node, incarnation, epoch, ...rest });
  }
}

for (let n = 0; n < Number(rounds); n++) {
  try {
    await round(n);
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
    unavailable++;
  }
}
await store.close();
process.stdout.write(JSON.stringify({ epochs, kept, unavailable }));
