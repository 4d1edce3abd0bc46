import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type FleetConfig, fleetConfig, type NodeConfig, nodeConfig } from "../config.ts";

/** A file of the deployment does not say what it must; names the file and each fault. */
export class ConfigFileError extends Error {
  override readonly name = "ConfigFileError";
}

/** What a file of the deployment says; `read` gives its text. Throws {@link ConfigFileError}. */
export function parseConfig<T>(path: string, schema: z.ZodType<T>, read: () => string): T {
  let raw: unknown;
  try {
    raw = JSON.parse(read());
  } catch (cause) {
    throw new ConfigFileError(
      `${path} cannot be read as JSON: ${(cause as Error).message}. It is written by the deployment; run the deployment again.`,
      { cause },
    );
  }
  const parsed = schema.safeParse(raw);
  if (!parsed.success) {
    throw new ConfigFileError(
      `${path} is not what this runtime understands:\n${z.prettifyError(parsed.error)}`,
    );
  }
  return parsed.data;
}

const parse = <T>(path: string, schema: z.ZodType<T>): T =>
  parseConfig(path, schema, () => readFileSync(path, "utf8"));

export const readNodeConfig = (nodeDir: string): NodeConfig =>
  parse(join(nodeDir, "node.json"), nodeConfig);

/** Names one state of the fleet's settings by the text of their file, whichever version reads it. */
export const settingsRevision = (text: string): string =>
  createHash("sha256").update(text).digest("hex").slice(0, 16);

export const fleetConfigPath = (dataDir: string): string => join(dataDir, "fleet.json");

/**
 * The fleet's configuration, read again when its file changes. A file that cannot be understood is
 * reported once and the last good one stays in force: a node never stops because of it.
 */
export class FleetConfigFile {
  readonly #path: string;
  readonly #onChange: (config: FleetConfig) => void;
  readonly #onFault: (message: string) => void;
  #config: FleetConfig;
  #revision: string;
  #seen: string;
  #timer: NodeJS.Timeout | undefined;

  /** @throws ConfigFileError when there is no good file to begin with. */
  constructor(
    dataDir: string,
    on: { change: (config: FleetConfig) => void; fault: (message: string) => void },
  ) {
    this.#path = fleetConfigPath(dataDir);
    this.#onChange = on.change;
    this.#onFault = on.fault;
    this.#seen = this.#stamp();
    ({ config: this.#config, revision: this.#revision } = this.#read());
  }

  get current(): FleetConfig {
    return this.#config;
  }

  /** {@link settingsRevision} of `current`. */
  get revision(): string {
    return this.#revision;
  }

  /** Looks at the file's identity every `everyMs`; inotify misses renames on some file systems. */
  watch(everyMs = 500): void {
    this.#timer = setInterval(() => this.check(), everyMs);
    this.#timer.unref();
  }

  check(): void {
    const stamp = this.#stamp();
    if (stamp === this.#seen) return;
    this.#seen = stamp;
    try {
      ({ config: this.#config, revision: this.#revision } = this.#read());
    } catch (error) {
      this.#onFault((error as Error).message);
      return;
    }
    this.#onChange(this.#config);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #read(): { config: FleetConfig; revision: string } {
    let text = "";
    const config = parseConfig(this.#path, fleetConfig, () => {
      text = readFileSync(this.#path, "utf8");
      return text;
    });
    return { config, revision: settingsRevision(text) };
  }

  #stamp(): string {
    const stat = statSync(this.#path, { bigint: true, throwIfNoEntry: false });
    return stat ? `${stat.ino}:${stat.size}:${stat.mtimeNs}` : "absent";
  }
}
