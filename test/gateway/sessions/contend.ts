/**
 * A process that assigns and claims the same names as its rivals. Arguments: path, own name, rounds.
 * Prints the keys that it was given and the shards that it was told, as JSON.
 */
import { SqliteSessionStore } from "../../../gateway/sessions/sqlite.ts";

const [path = "", who = "", rounds = "0"] = process.argv.slice(2);
const store = new SqliteSessionStore({ path, busyMs: 20_000, log: { warn() {}, error() {} } });
const claimed: string[] = [];
const shards: string[] = [];
for (let n = 0; n < Number(rounds); n++) {
  shards.push(await store.assign("main", `x${n}`, who));
  const claim = await store.claim(`k${n}`, "h", who, 3_600_000);
  if (claim.outcome === "claimed") claimed.push(`k${n}`);
}
await store.close();
process.stdout.write(JSON.stringify({ claimed, shards }));
