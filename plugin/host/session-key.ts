import { execFile } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { dataDir } from "../../toolchain/paths.ts";

/**
 * Key by which this machine logs in through sessions (session-proxy.ts), made at its first use; `.pub` lies beside
 * it. By itself it opens nothing: a host accepts it for a minute after AWS was asked to let it in. Ed25519, which
 * EC2 Instance Connect takes besides RSA.
 * @throws Error when it cannot be made
 */
export async function sessionKey(folder: string = join(dataDir(), "session-key")): Promise<string> {
  const key = join(folder, "id_ed25519");
  if (existsSync(key) && existsSync(`${key}.pub`)) return key;
  mkdirSync(dirname(folder), { recursive: true });
  const made = mkdtempSync(`${folder}-`);
  try {
    const file = join(made, "id_ed25519");
    await promisify(execFile)("ssh-keygen", [
      ...["-q", "-t", "ed25519", "-N", "", "-C", "openclaw-fleet", "-f", file],
    ]);
    chmodSync(file, 0o600);
    // Both files or none. Where another process was first, its key is used.
    renameSync(made, folder);
  } catch (error) {
    rmSync(made, { recursive: true, force: true });
    if (!existsSync(key)) throw error;
  }
  return key;
}
