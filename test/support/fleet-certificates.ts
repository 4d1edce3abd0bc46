import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TlsFiles } from "../../gateway/config.ts";
import { issue, type KeyPair, makeAuthority } from "../../plugin/host/authority.ts";

/** Certificates of a fleet as files, by the project's own authority. */
export class FleetCertificates {
  readonly dir = mkdtempSync(join(tmpdir(), "fleet-tls-"));
  /** The one that signs, first; all of them are trusted. */
  authorities: KeyPair[];

  private constructor(authority: KeyPair) {
    this.authorities = [authority];
  }

  static async make(): Promise<FleetCertificates> {
    return new FleetCertificates(await makeAuthority("testfleet", new Date()));
  }

  /**
   * Writes ca.pem, node.pem and node.key of a node, or writes them anew.
   * @param now when it is signed; it is good from an hour before that, for `days`
   */
  async write(
    name: string,
    { addresses = ["127.0.0.1", "localhost"], now = new Date(), days = 30 } = {},
  ): Promise<TlsFiles> {
    const [signing] = this.authorities as [KeyPair];
    const leaf = await issue(signing, { fleet: "testfleet", name, addresses, days }, now);
    const files = {
      ca: join(this.dir, `${name}-ca.pem`),
      cert: join(this.dir, `${name}.pem`),
      key: join(this.dir, `${name}.key`),
    };
    writeFileSync(files.ca, this.authorities.map(({ cert }) => cert).join(""));
    writeFileSync(files.cert, leaf.cert);
    writeFileSync(files.key, leaf.key, { mode: 0o600 });
    return files;
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}
