import { randomUUID } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Account, Machine } from "./machines.ts";

const KEY_SECONDS = 60;

/**
 * Keys that were sent to a machine, each in a file of its own beside the account's, named by its user. Its age is
 * the file's.
 */
export class SentKeys {
  readonly #folder: string;
  readonly #machine: Machine;
  readonly #validMs: number;

  constructor(accountFile: string, account: Account, id: string, machine: Machine) {
    this.#folder = join(`${accountFile}.keys`, id);
    this.#machine = machine;
    this.#validMs = (account.keySeconds ?? KEY_SECONDS) * 1_000;
    mkdirSync(this.#folder, { recursive: true });
  }

  add(user: string, key: string): void {
    writeFileSync(join(this.#folder, `${user}:${randomUUID()}`), `${key.trim()}\n`);
    this.refresh();
  }

  /** Makes the machine accept the keys that count now, and no other. */
  refresh(): void {
    const byUser = new Map((this.#machine.users ?? ["ubuntu"]).map((user) => [user, ""]));
    for (const name of readdirSync(this.#folder)) {
      const path = join(this.#folder, name);
      const user = name.split(":")[0] ?? "";
      // Another call may have taken it away meanwhile.
      const sent = statSync(path, { throwIfNoEntry: false });
      if (!sent) continue;
      if (Date.now() - sent.mtimeMs > this.#validMs) rmSync(path, { force: true });
      else byUser.set(user, `${byUser.get(user) ?? ""}${readFileSync(path, "utf8")}`);
    }
    const texts = new Map<string, string>();
    for (const [user, keys] of byUser) {
      const path = this.#machine.authorizedKeys.replaceAll("%u", user);
      texts.set(path, `${texts.get(path) ?? ""}${keys}`);
    }
    for (const [path, text] of texts) {
      // In one piece, and readable to whoever sshd runs as.
      const made = `${path}.${randomUUID()}`;
      writeFileSync(made, text);
      chmodSync(made, 0o644);
      renameSync(made, path);
    }
  }
}
