import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { composeNeed } from "../../cli/lib/compose-config.ts";
import { writeFolder, writeSecrets } from "../../cli/lib/compose-folder.ts";
import { settingsOf } from "../../cli/lib/stack-settings.ts";
import { CONTAINER_UID, INSIDE } from "../../components/compose/catalog.ts";
import { planCompose } from "../../components/compose/plan.ts";
import { ensureHostRelease, type HostArch } from "../../toolchain/host-release.ts";
import { eventually } from "../support/eventually.ts";
import { freePorts } from "../support/free-ports.ts";
import { baseImage } from "./support/base-image.ts";
import { whyNoHosts } from "./support/programs.ts";

/** A gateway's boot on a busy machine. */
const BOOT_MS = 240_000;

/**
 * Carries out the Dockerfile and runs its command as Compose would: on Debian, with a read-only root, no
 * capability, the container's user, and a first process that is not the node. Arguments: image, scratch
 * folder, folder of compose.yaml, steps, command.
 */
const CONTAINER = `set -eu
image=$1 scratch=$2 folder=$3 steps=$4; shift 4
root=$scratch/root
mkdir -p "$scratch/upper" "$scratch/work" "$root"
mount -t tmpfs none "$scratch/upper" && mkdir "$scratch/upper/u" "$scratch/upper/w"
mount -t overlay none -o "lowerdir=$image,upperdir=$scratch/upper/u,workdir=$scratch/upper/w" "$root"
chroot "$root" sh -ec "$steps"
for archive in "$folder"/release/*.tar.gz; do tar -xzf "$archive" -C "$root${INSIDE.release}"; done
mkdir -p "$root${INSIDE.secrets}"
mount --bind "$folder/config" "$root${INSIDE.config}"
mount --bind "$folder/secrets" "$root${INSIDE.secrets}"
chmod 0755 "$folder/secrets"
mount --bind "$scratch/data" "$root${INSIDE.data}"
chown ${CONTAINER_UID}:${CONTAINER_UID} "$scratch/data"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777,size=256m none "$root/tmp"
mount -o remount,bind,ro "$root" 2>/dev/null || mount -o remount,ro "$root"
trap 'kill -TERM $node' TERM
env -i HOME=${INSIDE.data} PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" setpriv --reuid=${CONTAINER_UID} --regid=${CONTAINER_UID} \\
  --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@" &
node=$!
wait $node || wait $node
`;

describe.skipIf(whyNoHosts() !== null)("the container's content", () => {
  const scratch = mkdtempSync(join(tmpdir(), "openclaw-fleet-compose-"));
  const folder = join(scratch, "compose");
  const said: string[] = [];
  let port = 0;
  let container: ChildProcess;

  beforeAll(async () => {
    [port = 0] = await freePorts(["127.0.0.1"], 1);
    const text = `config:\n  openclaw-fleet:port: ${port}\n  openclaw-fleet:shards: 1\n`;
    const settings = settingsOf(text, "Pulumi.box.yaml");
    const from = { settings, isSecret: () => false, isSealed: () => false };
    const release = await ensureHostRelease(process.arch as HostArch);
    const archives = Object.fromEntries(release.parts.map((p) => [`${p.name}.tar.gz`, p.archive]));
    const { need } = composeNeed("box", from);
    const plan = planCompose({
      ...need,
      releaseId: release.release,
      archives: Object.keys(archives),
    });
    writeFolder(folder, plan, archives);
    writeSecrets(folder, plan.secrets, { values: {}, random: () => true });
    mkdirSync(join(scratch, "data"));
    const dockerfile = (plan.files.Dockerfile ?? "").replaceAll("\\\n", "");
    // Packages would come from Debian's servers; the image has what matters here.
    const steps = (/^RUN (.*)$/m.exec(dockerfile)?.[1] ?? "")
      .split("&&")
      .filter((step) => !/apt/.test(step))
      .join("&&");
    const command = JSON.parse(/^CMD (.*)$/m.exec(dockerfile)?.[1] as string) as string[];
    container = spawn(
      "setpriv",
      [
        ...["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"],
        ...[
          "sh",
          "-c",
          CONTAINER,
          "container",
          await baseImage(),
          scratch,
          folder,
          steps,
          ...command,
        ],
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    for (const stream of [container.stdout, container.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => said.push(text));
    }
    const ended = once(container, "exit").then(() => {
      throw new Error(`it ended:\n${said.join("")}`);
    });
    const ready = eventually(async () => {
      const { status } = await fetch(`http://127.0.0.1:${port}/readyz`);
      expect([status, said.slice(-20).join("")]).toEqual([200, expect.anything()]);
    }, BOOT_MS);
    await Promise.race([ready, ended]);
    ended.catch(() => {});
  }, 600_000);

  /** Id of the container's first process, seen from here. */
  const firstProcess = () =>
    readFileSync(`/proc/${container.pid}/task/${container.pid}/children`, "utf8")
      .trim()
      .split(" ", 1)[0] as string;

  /** The command of compose.yaml's healthcheck, as Compose reads it: a doubled dollar is one. */
  function healthcheck(): string[] {
    const { services } = parse(readFileSync(join(folder, "compose.yaml"), "utf8")) as {
      services: Record<string, { healthcheck: { test: string[] } }>;
    };
    const [kind, ...command] = Object.values(services)[0]?.healthcheck.test ?? [];
    expect(kind).toBe("CMD");
    return command.map((word) => word.replaceAll("$$", "$"));
  }

  afterAll(async () => {
    if (container && container.exitCode === null && container.signalCode === null) {
      const gone = once(container, "exit");
      container.kill("SIGKILL");
      await gone;
    }
    rmSync(scratch, { recursive: true, force: true });
  });

  test("answers a chat with the token that was made", async () => {
    const token = readFileSync(join(folder, "secrets", "token.client"), "utf8");
    await eventually(async () => {
      const response = await fetch(`http://127.0.0.1:${port}/api/v1/chat`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: JSON.stringify({ message: "hello" }),
      });
      expect([response.status, await response.json()]).toEqual([
        200,
        expect.objectContaining({ reply: expect.stringContaining("hello") }),
      ]);
    }, BOOT_MS);
  }, 300_000);

  test("is healthy by the command that Compose runs in it", () => {
    const [program = "", ...args] = healthcheck();
    const inside = ["--target", firstProcess(), "--mount", "chroot", join(scratch, "root")];
    execFileSync("nsenter", [...inside, program, ...args], { stdio: "pipe" });
  });

  test("logs lines of JSON where the container's engine reads them, without a secret", () => {
    const lines = said.join("").split("\n").filter(Boolean);
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines.slice(0, -1)) expect(JSON.parse(line), line).toHaveProperty("msg");
    for (const name of ["token.client", "token.admin", "token.peer"]) {
      expect(said.join("")).not.toContain(readFileSync(join(folder, "secrets", name), "utf8"));
    }
  });

  test("stops by itself when it is asked to", async () => {
    const gone = once(container, "exit");
    // The first process of the container hands it on.
    process.kill(Number(firstProcess()), "SIGTERM");
    await gone;
    expect(said.join("")).toContain("stopped");
    // What Compose asks says so too, once nothing answers there.
    expect(() =>
      execFileSync(process.execPath, healthcheck().slice(1), { stdio: "pipe" }),
    ).toThrow();
  }, 120_000);
});
