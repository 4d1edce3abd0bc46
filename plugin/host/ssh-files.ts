import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HostConnection } from "./shell.ts";

/** Name under which a recorded key is looked up: hosts change addresses, and share them behind a jump host. */
export const KEY_ALIAS = "openclaw-fleet-host";

/** The same for one host. A machine behind a session has its own: what another one had under its name never counts. */
export const keyAlias = ({ session }: HostConnection): string =>
  session ? `${KEY_ALIAS}-${session.instanceId}` : KEY_ALIAS;

/** A socket's path may have 107 bytes on Linux, 103 on macOS; ssh appends 17 while it makes it. */
const FOLDER_BYTES = 80;

/** Folders that are in use; the process takes them along when it ends. */
const inUse = new Set<string>();
const remove = (folder: string) => rmSync(folder, { recursive: true, force: true });
process.once("exit", () => inUse.forEach(remove));

/** Files of one connection, in a folder that only this user can enter. */
export class SshFiles {
  readonly #folder: string;

  constructor() {
    const parent = Buffer.byteLength(tmpdir()) > FOLDER_BYTES ? "/tmp" : tmpdir();
    this.#folder = mkdtempSync(join(parent, "fleet-ssh-"));
    inUse.add(this.#folder);
  }

  /** Socket that further commands share the connection by. */
  get socket(): string {
    return join(this.#folder, "s");
  }

  /** Host keys that count for this connection. */
  get known(): string {
    return join(this.#folder, "known");
  }

  /** What key the host showed. */
  get seen(): string {
    return join(this.#folder, "seen");
  }

  /** Makes ready for a connection to a host with a recorded key, or to one that was never seen. */
  expect(connection: HostConnection): void {
    const { hostKey } = connection;
    rmSync(this.seen, { force: true });
    const line = hostKey === undefined ? "" : `${keyAlias(connection)} ${keyOnly(hostKey)}\n`;
    writeFileSync(this.known, line);
  }

  /** Type and base64 of the key that the host showed; empty when it was not reached. */
  seenKey(): string {
    return existsSync(this.seen) ? keyOnly(readFileSync(this.seen, "utf8")) : "";
  }

  remove(): void {
    inUse.delete(this.#folder);
    remove(this.#folder);
  }
}

/** Type and base64 of a public key, without its comment. */
export const keyOnly = (key: string): string => key.trim().split(/\s+/).slice(0, 2).join(" ");
