import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { type StoresConfig, storesConfig } from "./config.ts";
import { parseConfig } from "./supervisor/config-file.ts";

/** A change of the file is seen after this, ms. A host's place among the stores changes in minutes. */
const LOOK_EVERY_MS = 10_000;

export interface StoresFileOptions {
  /** Told of a file that cannot be used, once; the last good one stays in force. */
  warn: (message: string) => void;
  /** @default 10000 */
  everyMs?: number;
}

/**
 * `stores.json` beside a node's node.json: where the members of the stores are. They come and go with hosts, so the file
 * is followed while the node runs; a change of node.json would restart it, and move its shards.
 */
export class StoresFile {
  readonly path: string;
  readonly #options: StoresFileOptions;
  #text: string;
  #current: StoresConfig;
  #fault = "";
  #timer: NodeJS.Timeout | undefined;

  /** Throws when there is no good file to begin with. */
  constructor(path: string, options: StoresFileOptions) {
    this.path = path;
    this.#options = options;
    this.#text = readFileSync(path, "utf8");
    this.#current = this.#parse(this.#text);
  }

  get current(): StoresConfig {
    return this.#current;
  }

  /** @param onChange told of each other content */
  watch(onChange: (stores: StoresConfig) => void = () => {}): void {
    this.#timer = setInterval(
      () => void this.#look(onChange),
      this.#options.everyMs ?? LOOK_EVERY_MS,
    );
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(onChange: (stores: StoresConfig) => void): Promise<void> {
    try {
      const text = await readFile(this.path, "utf8");
      if (text === this.#text) return;
      this.#text = text;
      this.#current = this.#parse(text);
      this.#fault = "";
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#fault) this.#options.warn(message);
      this.#fault = message;
      return;
    }
    onChange(this.#current);
  }

  #parse(text: string): StoresConfig {
    return parseConfig(this.path, storesConfig, () => text);
  }
}
