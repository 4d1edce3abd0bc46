import { parseArgs } from "node:util";
import { Keeper, type KeeperOptions } from "./keeper.ts";
import { ALREADY_KEPT_EXIT } from "./launch.ts";
import { LockHeld } from "./lock.ts";

/** `node keeper.js --node-dir DIR --supervisor FILE [--cages auto|cgroup|session]` */
const { values } = parseArgs({
  options: {
    "node-dir": { type: "string" },
    supervisor: { type: "string" },
    cages: { type: "string", default: "auto" },
  },
});
const nodeDir = values["node-dir"];
const { supervisor, cages } = values;
if (!nodeDir || !supervisor || !["auto", "cgroup", "session"].includes(cages)) {
  console.error(
    "keeper: --node-dir and --supervisor are needed; --cages is auto, cgroup or session",
  );
  process.exit(2);
}

try {
  await new Keeper({ nodeDir, supervisor, cages: cages as KeeperOptions["cages"] }).run();
} catch (error) {
  console.error(`keeper: ${(error as Error).message}`);
  process.exit(error instanceof LockHeld ? ALREADY_KEPT_EXIT : 1);
}
