/**
 * `etcd.js COMMAND members.json`: what a host does for its member of the fleet's etcd.
 * - `prepare`: before each start; decides whether it begins, joins or goes on.
 * - `tend`: every half minute; promotes, takes out, defragments, saves a snapshot.
 * - `health`: succeeds when this member serves with a majority and votes.
 * - `found members.json PREFIX`: makes the lease store of a new fleet; `found-forgotten` that of one which lost its own.
 * - `forget-shard members.json PREFIX SHARD`: lets a shard begin with nothing whose owners were lost before the first answer.
 * - `leave`: takes this member out of the cluster for good; before its host leaves the fleet. Refused while it would
 *   cost the others their majority.
 */
import { statSync } from "node:fs";
import { ClusterAdmin } from "./ask.ts";
import { forgetShard } from "./forget-shard.ts";
import { found } from "./found.ts";
import { leave } from "./leave.ts";
import { type MemberFile, readMemberFile, selfOf } from "./member-file.ts";
import { prepare } from "./prepare.ts";
import { tend } from "./tend.ts";

const say = (line: string) => {
  process.stdout.write(`${line}\n`);
};

async function health(file: MemberFile): Promise<void> {
  const admin = new ClusterAdmin([selfOf(file).clientUrl], file);
  try {
    await admin.readsWithMajority();
    const { learner, errors } = await admin.status();
    if (errors.length > 0) throw new Error(errors.join("; "));
    if (learner) throw new Error("it has joined and does not vote yet; that takes half a minute");
    say("serves, with a majority");
  } finally {
    admin.close();
  }
}

type Command = (file: MemberFile, path: string, more: string, last: string) => Promise<void>;

const COMMANDS: Readonly<Record<string, Command>> = {
  prepare: async (file, path) => {
    const deployedAtMs = statSync(path).mtimeMs;
    const { state, cluster } = await prepare(file, { say, deployedAtMs });
    say(`starting, ${state}: ${cluster}`);
  },
  tend: async (file) => {
    for (const fault of await tend(file, say)) say(`not done, tried again soon: ${fault}`);
  },
  health,
  found: (file, _path, prefix) => found(file, prefix, false, say),
  "found-forgotten": (file, _path, prefix) => found(file, prefix, true, say),
  "forget-shard": (file, _path, prefix, shard) => forgetShard(file, prefix, shard, say),
  leave: (file) => leave(file, say),
};

const [command = "", path = "", more = "", last = ""] = process.argv.slice(2);
const work = COMMANDS[command];
if (!work || !path) {
  process.stderr.write(`use: etcd.js ${Object.keys(COMMANDS).join("|")} members.json\n`);
  process.exitCode = 2;
} else {
  try {
    await work(readMemberFile(path), path, more, last);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
