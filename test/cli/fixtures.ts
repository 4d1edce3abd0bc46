import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";

export interface Run {
  code: number | null;
  stdout: string;
  stderr: string;
}

export const CLUSTER_HOST = "0123456789ABCDEF.gr7.eu-central-1.eks.amazonaws.com";

/** A kubeconfig as a stack exports it. */
export const KUBECONFIG = {
  apiVersion: "v1",
  kind: "Config",
  clusters: [
    {
      name: "prod-cluster",
      cluster: {
        server: `https://${CLUSTER_HOST}`,
        "certificate-authority-data": "Q0E=",
      },
    },
  ],
  users: [
    {
      name: "prod-cluster",
      user: {
        exec: {
          apiVersion: "client.authentication.k8s.io/v1beta1",
          command: "aws",
          args: [
            ...["--region", "eu-central-1", "eks", "get-token"],
            ...["--cluster-name", "prod-cluster", "--output", "json"],
          ],
          interactiveMode: "Never",
        },
      },
    },
  ],
  contexts: [{ name: "prod-cluster", context: { cluster: "prod-cluster", user: "prod-cluster" } }],
  "current-context": "prod-cluster",
};

/**
 * A home with programs that stand for others: each is a Node script on PATH. `pulumi` answers with a
 * stack's outputs, so that commands that read them run whole.
 */
export class Home {
  readonly path = mkdtempSync(join(tmpdir(), "fleet-cli-"));
  readonly bin = join(this.path, "bin");
  readonly #reads = join(this.path, "outputs-read");
  readonly #children: ChildProcess[] = [];

  constructor() {
    mkdirSync(this.bin);
  }

  /** Puts a program on PATH. */
  program(name: string, script: string): void {
    const file = join(this.bin, name);
    writeFileSync(file, `#!${process.execPath}\n${script}\n`);
    chmodSync(file, 0o755);
  }

  /** Stacks that exist, with their outputs. */
  stacks(outputs: Readonly<Record<string, unknown>>): void {
    for (const stack of Object.keys(outputs)) {
      const folder = join(this.path, "data/openclaw-fleet/pulumi/.pulumi/stacks/openclaw-fleet");
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, `${stack}.json`), "{}");
    }
    this.program(
      "pulumi",
      `const args = process.argv.slice(2);
const outputs = ${JSON.stringify(outputs)};
if (args[0] === "version") console.log("v3.259.0");
else if (args[0] === "stack" && args[1] === "output") {
  require("node:fs").appendFileSync(${JSON.stringify(this.#reads)}, "read\\n");
  console.log(JSON.stringify(outputs[args[args.indexOf("--stack") + 1]] ?? {}));
} else { console.error("not here: " + args.join(" ")); process.exit(1); }`,
    );
  }

  /** How often outputs of stacks were read until now. */
  outputsRead(): number {
    return existsSync(this.#reads) ? readFileSync(this.#reads, "utf8").split("\n").length - 1 : 0;
  }

  start(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
    const child = spawn(process.execPath, [join(PROJECT_ROOT, "cli", "main.ts"), ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: `${this.bin}:${dirname(process.execPath)}:/usr/bin:/bin`,
        HOME: this.path,
        TERM: "dumb",
        XDG_CACHE_HOME: join(this.path, "cache"),
        XDG_DATA_HOME: join(this.path, "data"),
        OPENCLAW_FLEET_PULUMI: join(this.bin, "pulumi"),
        ...env,
      },
    });
    this.#children.push(child);
    return child;
  }

  async run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Run> {
    return await outcome(this.start(args, env));
  }

  remove(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    rmSync(this.path, { recursive: true, force: true });
  }
}

export function outcome(child: ChildProcess): Promise<Run> {
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (part) => {
    stdout += part;
  });
  child.stderr?.on("data", (part) => {
    stderr += part;
  });
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, stdout, stderr })));
}
