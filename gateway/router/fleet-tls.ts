import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { Server as HttpsServer } from "node:https";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { TlsFiles } from "../config.ts";

/** Pause between two looks at the files, ms. An exchange of certificates is a matter of days. */
const LOOK_EVERY_MS = 2_000;

/** The files cannot be used; names the file and why. */
export class TlsFilesError extends Error {
  override readonly name = "TlsFilesError";
}

/** What a connection needs, on either side. */
export interface Credentials {
  ca: string;
  cert: string;
  key: string;
  minVersion: "TLSv1.3";
}

export interface FleetTlsOptions {
  files: TlsFiles;
  log: { info(message: string): void; error(message: string): void };
  /** @default 2000 */
  lookEveryMs?: number;
}

/**
 * A node's certificates, for both sides of every connection that leaves its machine. When the files
 * change, new connections use the new ones; those that are open live on. Files that do not fit
 * together (one of them is still the old one) change nothing until they do.
 */
export class FleetTls {
  readonly #options: FleetTlsOptions;
  readonly #servers = new Set<HttpsServer>();
  #current: Credentials;
  #stamp: string;
  #generation = 0;
  #complained = "";
  #timer: NodeJS.Timeout | undefined;

  /** @throws TlsFilesError when the files are no good to begin with. */
  constructor(options: FleetTlsOptions) {
    this.#options = options;
    this.#stamp = stampOf(options.files);
    this.#current = load(options.files);
  }

  get credentials(): Credentials {
    return this.#current;
  }

  /** Grows with each change of the certificates in force. */
  get generation(): number {
    return this.#generation;
  }

  /** Keeps the server's certificates up to date, until it is closed. */
  follow(server: HttpsServer): void {
    this.#servers.add(server);
    server.once("close", () => this.#servers.delete(server));
  }

  watch(): void {
    this.#timer = setInterval(() => this.look(), this.#options.lookEveryMs ?? LOOK_EVERY_MS);
    this.#timer.unref();
  }

  look(): void {
    const { files, log } = this.#options;
    const stamp = stampOf(files);
    if (stamp === this.#stamp) return;
    let next: Credentials;
    try {
      next = load(files);
      for (const server of this.#servers) server.setSecureContext(next);
    } catch (error) {
      // The next look may find them whole; the stamp stays the one of the last good ones.
      const { message } = error as Error;
      if (message !== this.#complained) {
        log.error(`${message}. The certificates before stay in force`);
      }
      this.#complained = message;
      return;
    }
    this.#complained = "";
    this.#stamp = stamp;
    this.#current = next;
    this.#generation += 1;
    const { subject, validTo } = new X509Certificate(next.cert);
    log.info(
      `new certificates are in force: ${subject.replaceAll("\n", ", ")}, good to ${validTo}`,
    );
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

function load(files: TlsFiles): Credentials {
  const read = (path: string) => {
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      throw new TlsFilesError(`${path} cannot be read: ${(error as Error).message}`);
    }
  };
  const ca = read(files.ca);
  const cert = read(files.cert);
  const key = read(files.key);
  const certificate = parsed(files.cert, cert);
  parsed(files.ca, ca);
  let fits: boolean;
  try {
    fits = certificate.checkPrivateKey(createPrivateKey(key));
  } catch {
    // What the parser says could hold a part of the key.
    throw new TlsFilesError(`${files.key} is no private key in PEM`);
  }
  if (!fits) throw new TlsFilesError(`${files.key} is not the key of ${files.cert}`);
  return { ca, cert, key, minVersion: "TLSv1.3" };
}

function parsed(path: string, text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (error) {
    throw new TlsFilesError(`${path} is no certificate in PEM: ${(error as Error).message}`);
  }
}

function stampOf({ ca, cert, key }: TlsFiles): string {
  return [ca, cert, key]
    .map((path) => {
      const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
      return stat ? `${stat.ino}:${stat.size}:${stat.mtimeNs}` : "absent";
    })
    .join(" ");
}

/** The name in the certificate that the other side proved to own; null on a plain connection. */
export function certifiedName(socket: Socket): string | null {
  const { getPeerCertificate } = socket as Partial<TLSSocket>;
  if (getPeerCertificate === undefined) return null;
  const name: unknown = getPeerCertificate.call(socket as TLSSocket).subject?.CN;
  return typeof name === "string" ? name : null;
}
