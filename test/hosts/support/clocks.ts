import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HOST_PORTS } from "../../../components/host/types.ts";
import { NODE_UNIT } from "../../../components/node/unit.ts";
import { cacheEntry } from "../../../toolchain/cache.ts";
import { createProgress } from "../../../toolchain/progress.ts";
import { unpackDebian } from "../../support/debian-package.ts";
import { eventually } from "../../support/eventually.ts";
import type { TestHost } from "./host.ts";

/** On each host that has a clock of its own. */
const FOLDER = "/usr/local/lib/lab-clock";
const LIBRARY = `${FOLDER}/libfaketime.so.1`;
const OFFSET = `${FOLDER}/offset`;
/** How often a program looks where its clock should be, s. */
const LOOK_SECONDS = 1;
/** Longest wait until the programs of a busy host have looked, ms. */
const STEPPED_MS = 30_000;
/** A Date header is of the second before; on a busy machine its way takes some. */
const TOLERANCE_SECONDS = 20;

/**
 * Environment under which a program asks the wall clock of its host, which can be stepped while it runs, though hosts
 * share the kernel's. Clocks that never jump are the kernel's own, as on a machine whose clock is set; so are
 * the times of files. Programs that do not ask by the C library keep the kernel's clock: etcd (Go). Redis does not
 * start under it (its allocator asks for the time too).
 */
export const CLOCK_ENVIRONMENT: Readonly<Record<string, string>> = {
  LD_PRELOAD: LIBRARY,
  FAKETIME_TIMESTAMP_FILE: OFFSET,
  FAKETIME_CACHE_DURATION: String(LOOK_SECONDS),
  FAKETIME_DONT_FAKE_MONOTONIC: "1",
  NO_FAKE_STAT: "1",
};

/** Gives hosts that run, and have no fleet yet, a wall clock each for the node's program and its keeper. */
export async function giveClocks(hosts: readonly TestHost[]): Promise<void> {
  const library = await faketime();
  const environment = Object.entries(CLOCK_ENVIRONMENT).map(([name, value]) => `${name}=${value}`);
  for (const host of hosts) {
    const at = (path: string) => join(`/proc/${host.pid}/root`, path);
    const dropIns = `/etc/systemd/system/${NODE_UNIT}.d`;
    for (const folder of [FOLDER, dropIns]) mkdirSync(at(folder), { recursive: true });
    copyFileSync(library, at(LIBRARY));
    writeFileSync(at(OFFSET), offset(0));
    writeFileSync(
      at(`${dropIns}/lab-clock.conf`),
      `[Service]\nEnvironment=${environment.join(" ")}\n`,
    );
  }
}

/**
 * Steps the wall clock of a host's programs, and returns when its router tells the time by it.
 * @param seconds beside that of this machine
 */
export async function stepClock(host: TestHost, seconds: number): Promise<void> {
  await host.run(["sh", "-c", `cat > ${OFFSET}.new && mv ${OFFSET}.new ${OFFSET}`], {
    stdin: offset(seconds),
  });
  await eventually(async () => {
    const ahead = await routerAhead(host);
    if (Math.abs(ahead - seconds) <= TOLERANCE_SECONDS) return;
    throw new Error(`the clock of ${host.name} is ${Math.round(ahead)} s ahead, not ${seconds} s`);
  }, STEPPED_MS);
}

/** Whether a process, by its number on this machine, goes by the clock of its host. */
export const hasOwnClock = (pid: number): boolean => mapsOf(pid).includes(LIBRARY);

const offset = (seconds: number): string => `${seconds < 0 ? "" : "+"}${seconds}\n`;

/** Seconds by which the clock of a host's router is ahead of this machine's. */
async function routerAhead(host: TestHost): Promise<number> {
  const url = `http://127.0.0.1:${HOST_PORTS.local}/readyz`;
  const { stdout } = await host.run(["curl", "-s", "-m", "5", "-o", "/dev/null", "-D", "-", url]);
  const told = Date.parse(/^date: (.*)$/im.exec(stdout)?.[1] ?? "");
  if (Number.isNaN(told)) throw new Error(`its router tells no time: ${stdout}`);
  return (told - Date.now()) / 1_000;
}

function mapsOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/maps`, "utf8");
  } catch {
    // It ended.
    return "";
  }
}

/** Debian's library, unpacked into the cache: in the image of the hosts it would make every image anew. */
async function faketime(): Promise<string> {
  const entry = await cacheEntry(
    "libfaketime",
    `${process.arch}-1`,
    async (folder) => unpackDebian(folder, ["libfaketime"]),
    { progress: createProgress() },
  );
  const triplet = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
  return join(entry, "usr/lib", triplet, "faketime", "libfaketimeMT.so.1");
}
