import { join } from "node:path";
import type { ReplicationConfig } from "../../gateway/replication/settings.ts";
import { litestream } from "../support/litestream.ts";
import { TestS3 } from "../support/s3/server.ts";
import { TestSshd } from "../support/sshd.ts";
import { LitestreamReplica } from "./litestream.ts";
import { OwnReplica } from "./own-replica.ts";
import {
  type BenchContext,
  millis,
  type Part,
  type PartResult,
  type Row,
  row,
  some,
} from "./part.ts";
import {
  type Bare,
  bare,
  type Loss,
  loseOnce,
  type Measured,
  measure,
  median,
  type Size,
  type Start,
} from "./replication-runs.ts";
import { COMMIT_BYTES, COMMITS, type State } from "./replication-state.ts";

const SIZES: readonly Size[] = [
  { count: 1, mib: 1 },
  { count: 10, mib: 1 },
  { count: 50, mib: 1 },
  { count: 1, mib: 100 },
];
/** What Litestream is run with: its default, and what looks about as often as the project's replicator. */
const INTERVALS_MS = [1_000, 250];
const KILLS = 20;
const OTHERS_KILLS = 10;

/** What stands beside the project's replicator. */
interface Other {
  name: string;
  start: Start;
}

const ownTo =
  (settings: (state: State) => ReplicationConfig): Start =>
  (state) =>
    new OwnReplica(state, settings(state));

const toDirectory = ownTo(({ base }) => ({
  target: { kind: "directory", path: join(base, "target") },
}));

async function run(bench: BenchContext): Promise<PartResult> {
  const rows: Row[] = [];
  const tool = await litestream();
  const others = tool
    ? INTERVALS_MS.map((ms) => ({
        name: `Litestream, ${ms / 1_000} s`,
        start: (state: State) => new LitestreamReplica(tool.path, state, ms),
      }))
    : [];
  for (const size of bench.quick ? SIZES.slice(0, 2) : SIZES) {
    rows.push(...(await ofSize(bench, size, others)));
  }
  rows.push(...(await elsewhere(bench)));
  const losses = await kills(bench, others);
  rows.push(losses.row);
  return {
    rows,
    notes: [
      `A turn is ${COMMITS} commits of ${COMMIT_BYTES} bytes with an index, in one of the databases, 0.25 to 0.55 s after the last one; its lag is from its last commit until it is at the target: until the replicator was told that the manifest is in place.`,
      "CPU is that of the process that replicates, in steps of the kernel's clock; a plain copy is SQLite's own backup of all databases, without sending anything. Servers of SFTP and S3 are on the same machine.",
      tool
        ? `Litestream ${tool.version} writes to a directory, one process for all databases, with \`monitor-interval\` and \`sync-interval\` as said (its default is 1 s). A turn is at its target from the moment at which a file of level 0 whose header reaches the turn's end in the log has its name. Sent are files of level 0, without what compaction writes again; its CPU counts where one falls into the turns. It copies each database by itself; the replicator copies all at one moment.`
        : "Litestream was left out: there is no Go to build it with.",
    ],
    laws: "Every replica restored to a prefix of what was written, and SQLite found it whole.",
    broken: losses.broken,
  };
}

async function ofSize(bench: BenchContext, size: Size, others: readonly Other[]): Promise<Row[]> {
  const name = `${some(size.count, "database")} of ${size.mib} MiB`;
  // What keeps the log from being emptied does not depend on how many databases there are.
  const checkpoints = size === SIZES[0];
  bench.say(`${name}, a directory`);
  const alone = await bare(bench, size);
  const own = await measure(bench, size, toDirectory, checkpoints);
  const found: [string, Measured][] = [];
  for (const { name: other, start } of others) {
    bench.say(`${name}, ${other}`);
    found.push([other, await measure(bench, size, start, checkpoints)]);
  }
  return rowsOf(name, own, found, alone);
}

function rowsOf(
  name: string,
  own: Measured,
  others: readonly [string, Measured][],
  alone: Bare,
): Row[] {
  const line = (what: string, of: (found: Measured) => string, ...more: string[]): Row => {
    const beside = [...others.map(([other, found]) => `${other}: ${of(found)}`), ...more];
    return row(`${name}: ${what}`, of(own), beside.join("; "));
  };
  const copy = `plain copy: ${millis(alone.copyMs)}, ${alone.copyMiB.toFixed(0)} MiB`;
  const rows = [
    line("sent a turn", ({ sentKiB }) => `${sentKiB.toFixed(0)} KiB`, copy),
    line("CPU a turn", cpuOf),
    line("lag behind a turn", lagOf),
    line(
      "a commit while it is replicated",
      ({ commitMs, worstCommitMs }) => `${millis(commitMs)}, worst ${millis(worstCommitMs)}`,
      `without: ${millis(alone.commitMs)}`,
    ),
  ];
  if (own.checkpoint) {
    const of = ({ checkpoint }: Pick<Measured, "checkpoint">): string =>
      checkpoint ? `${millis(checkpoint.ms)}${checkpoint.emptied ? "" : ", in vain"}` : "–";
    const what = "emptying the log, as OpenClaw does, waiting 5 s at most";
    rows.push(line(what, of, `without: ${of(alone)}`));
  }
  return rows;
}

const lagOf = ({ lagMs, worstLagMs }: Measured): string =>
  `${millis(lagMs)}, worst ${millis(worstLagMs)}`;

/** The kernel counts it in hundredths of a second, over all turns. */
const cpuOf = ({ cpuMs }: Measured): string => `${cpuMs.toFixed(1)} ms`;

/** The replicator's other targets. */
async function elsewhere(bench: BenchContext): Promise<Row[]> {
  const sshd = await TestSshd.start();
  const s3 = await TestS3.start();
  try {
    const sftp: ReplicationConfig = {
      target: {
        ...sshd.settings,
        folder: `${sshd.folder}/${Math.random()}`.replace("0.", ""),
        hosts: { n2: "127.0.0.1" },
      },
    };
    const targets: [string, ReplicationConfig][] = [
      ["SFTP", sftp],
      ["S3", { target: { ...s3.settings, prefix: "1/" } }],
    ];
    const rows: Row[] = [];
    for (const [name, settings] of targets) {
      bench.say(`10 databases of 1 MiB, ${name}`);
      const own = ownTo(() => settings);
      const found = await measure(bench, { count: 10, mib: 1 }, own);
      rows.push(row(`${name}: lag behind a turn`, lagOf(found)));
      rows.push(row(`${name}: CPU a turn`, cpuOf(found)));
    }
    return rows;
  } finally {
    await sshd.remove();
    await s3.remove();
  }
}

async function kills(
  bench: BenchContext,
  others: readonly Other[],
): Promise<{ row: Row; broken: string[] }> {
  const trial = async (name: string, start: Start, times: number): Promise<Loss[]> => {
    const losses: Loss[] = [];
    for (let n = 1; n <= times; n++) {
      bench.say(`${name}: kill ${n} of ${times}`);
      losses.push(await loseOnce(bench.signal, start));
    }
    return losses;
  };
  const own = await trial("the replicator", toDirectory, bench.quick ? 2 : KILLS);
  const beside: string[] = [];
  for (const { name, start } of others) {
    const losses = await trial(name, start, bench.quick ? 2 : OTHERS_KILLS);
    const bad = losses.filter(({ fault }) => fault !== null).length;
    beside.push(
      `${name} (${losses.length} times): ${agesOf(losses)}${bad > 0 ? `, ${bad} not whole` : ""}`,
    );
  }
  const worst = Math.max(...own.map(({ ageMs }) => ageMs));
  const what = `host lost in the middle of turns (${own.length} times): age of the oldest commit that is gone`;
  return {
    row: row(what, agesOf(own), beside.join("; "), {
      must: { text: "≤ 1 s", met: worst <= 1_000 },
      aim: { text: "≤ 0.3 s", met: worst <= 300 },
    }),
    broken: own.flatMap(({ fault }) => fault ?? []),
  };
}

function agesOf(losses: readonly Loss[]): string {
  const ages = losses.map(({ ageMs }) => ageMs);
  return `${millis(median(ages))}, worst ${millis(Math.max(...ages))}`;
}

export const replication: Part = {
  name: "replication",
  title: "What the replica of a shard costs, and what a loss takes",
  run,
};
