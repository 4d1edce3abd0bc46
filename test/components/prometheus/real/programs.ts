import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { PROJECT_ROOT } from "../../../../toolchain/paths.ts";
import { unpacked } from "../../../support/watch-programs.ts";

/** Arguments: the unpacked packages, a file for /etc/hosts, then the command. */
const AS_ON_A_HOST =
  'mount --bind "$0/usr/share" /usr/share && mount --bind "$1" /etc/hosts && shift && exec "$@"';

export interface SpawnOptions {
  /** What it finds in its environment besides. */
  readonly env?: NodeJS.ProcessEnv;
  /** File it has for /etc/hosts. @default this machine's */
  readonly hostsFile?: string;
}

/** Programs of monitoring, each started by the command line of its unit. */
export class Programs {
  readonly #root: string;
  readonly #children: { child: ChildProcess; name: string; said: string[] }[] = [];

  /** @param root Debian's packages, unpacked */
  constructor(root: string) {
    this.#root = root;
  }

  /** @param unit text of its unit */
  spawn(name: string, unit: string, { env, hostsFile = "/etc/hosts" }: SpawnOptions = {}): void {
    const line = /^ExecStart=(.*)$/m.exec(unit)?.[1] ?? "";
    const [program = "", ...args] = line
      .split(" ")
      .map((word) => word.replaceAll("%%", "%").replaceAll("$$", "$"));
    const environment = Object.fromEntries(
      [...unit.matchAll(/^Environment=(\w+)=(.*)$/gm)].map(([, key, value]) => [key, value]),
    );
    const canary = join(PROJECT_ROOT, "gateway", "canary", "main.ts");
    const [file, argv] = program.endsWith("/bin/node")
      ? [process.execPath, [canary, ...args.slice(1)]]
      : [unpacked(this.#root, program), args];
    if (!existsSync(file)) throw new Error(`${name} wants ${program}, which no package has`);
    const all = { ...process.env, ...environment, ...env };
    const root = this.#root;
    // Alertmanager reads its package's templates by their place on a host: it sees the package's there.
    const child = file.endsWith("alertmanager")
      ? spawn(
          "unshare",
          ["--mount", "--map-root-user", "sh", "-c", AS_ON_A_HOST, root, hostsFile, file, ...argv],
          { env: all },
        )
      : spawn(file, argv, { env: all });
    const said: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => said.push(text));
    }
    this.#children.push({ child, name, said });
  }

  /** What a program wrote, for a test that fails. */
  said(part: string): string {
    return this.#children
      .filter(({ name }) => name.includes(part))
      .map(({ name, said }) => `${name}:\n${said.join("")}`)
      .join("\n");
  }

  async close(): Promise<void> {
    await Promise.all(
      this.#children.map(async ({ child }) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const gone = once(child, "exit");
        child.kill("SIGKILL");
        await gone;
      }),
    );
  }
}
