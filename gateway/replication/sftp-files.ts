import type { Found, TargetFiles } from "./file-target.ts";
import { type SftpConnection, SftpRefusal } from "./sftp-connection.ts";
import { type Attrs, Body, EXTENSION, OPEN, STATUS, TYPE } from "./sftp-wire.ts";

/** Bytes of one read or write. The server answers with less where it likes. */
const PIECE = 128 * 1024;

/** Files below a folder of an SFTP server. The folder itself is made when missing. */
export class SftpFiles implements TargetFiles {
  readonly #connection: SftpConnection;
  readonly #root: string;

  /** @param root Absolute, as the server names it. */
  constructor(connection: SftpConnection, root: string) {
    this.#connection = connection;
    this.#root = root;
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    const flags = OPEN.write | OPEN.create | OPEN.exclusive;
    const handle = await this.#handle(
      TYPE.open,
      new Body().text(this.#path(path)).u32(flags).mode(0o600),
    );
    // The server takes requests in order, so nothing of this needs an answer before the next.
    const steps: Promise<unknown>[] = [];
    for (let at = 0; at < bytes.length; at += PIECE) {
      const body = new Body()
        .text(handle)
        .u64(at)
        .text(bytes.subarray(at, at + PIECE));
      steps.push(this.#connection.request(TYPE.write, body));
    }
    steps.push(this.#extended(EXTENSION.sync, new Body().text(EXTENSION.sync).text(handle)));
    steps.push(this.#close(handle));
    await allOf(steps);
  }

  async read(path: string): Promise<Buffer | null> {
    const found = await this.#absent(() => this.#lstat(path));
    if (found?.kind !== "file") return null;
    const body = new Body().text(this.#path(path)).u32(OPEN.read).u32(0);
    const handle = await this.#absent(() => this.#handle(TYPE.open, body));
    if (handle === null) return null;
    try {
      return await this.#readAll(handle);
    } finally {
      await this.#close(handle).catch(() => {});
    }
  }

  async #readAll(handle: Buffer): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let at = 0; ; ) {
      const part = await this.#ended(async () => {
        const answer = await this.#connection.request(
          TYPE.read,
          new Body().text(handle).u64(at).u32(PIECE),
        );
        return answer.fields.bytes();
      });
      if (part === null) return Buffer.concat(parts);
      parts.push(part);
      at += part.length;
    }
  }

  async link(from: string, to: string): Promise<"linked" | "exists" | "no-folder"> {
    try {
      const body = new Body().text(EXTENSION.link).text(this.#path(from)).text(this.#path(to));
      await this.#extended(EXTENSION.link, body);
      return "linked";
    } catch (error) {
      if (!(error instanceof SftpRefusal)) throw error;
      if (error.code === STATUS.noSuchFile) return "no-folder";
      // This version of the protocol has one code for all other failures.
      if ((await this.#absent(() => this.#lstat(to))) !== null) return "exists";
      throw error;
    }
  }

  async entries(path: string): Promise<Found[]> {
    const body = new Body().text(this.#path(path));
    const handle = await this.#absent(() => this.#handle(TYPE.opendir, body));
    if (handle === null) return [];
    const found: Found[] = [];
    try {
      for (;;) {
        const some = await this.#ended(() =>
          this.#connection.request(TYPE.readdir, new Body().text(handle)),
        );
        if (some === null) return found;
        for (let count = some.fields.u32(); count > 0; count--) {
          const name = some.fields.text();
          some.fields.text();
          const { kind, size: bytes, modifiedMs } = some.fields.attrs();
          if (name !== "." && name !== "..") found.push({ name, kind, bytes, modifiedMs });
        }
      }
    } finally {
      await this.#close(handle).catch(() => {});
    }
  }

  async makeFolder(path: string): Promise<void> {
    const names = this.#path(path).split("/").filter(Boolean);
    const paths = names.map((_, index) => `/${names.slice(0, index + 1).join("/")}`);
    const there = await Promise.all(paths.map((each) => this.#isFolder(each)));
    for (const [index, each] of paths.entries()) {
      if (there[index]) continue;
      try {
        await this.#connection.request(TYPE.mkdir, new Body().text(each).mode(0o700));
      } catch (error) {
        // Somebody else may have made it meanwhile.
        if (!(error instanceof SftpRefusal) || !(await this.#isFolder(each))) throw error;
      }
      await this.#sync(paths[index - 1] ?? "/");
    }
  }

  syncFolder(path: string): Promise<void> {
    return this.#sync(this.#path(path));
  }

  async remove(path: string): Promise<void> {
    await this.#absent(() =>
      this.#connection.request(TYPE.remove, new Body().text(this.#path(path))),
    );
  }

  async check(): Promise<void> {
    const found = await this.#absent(() => this.#lstat(""));
    if (found && found.kind !== "directory") throw new Error("it is no directory");
  }

  /** A folder can be opened for reading like a file, and be brought to the disk like one. */
  async #sync(absolute: string): Promise<void> {
    const handle = await this.#handle(TYPE.open, new Body().text(absolute).u32(OPEN.read).u32(0));
    await allOf([
      this.#extended(EXTENSION.sync, new Body().text(EXTENSION.sync).text(handle)),
      this.#close(handle),
    ]);
  }

  async #isFolder(absolute: string): Promise<boolean> {
    const found = await this.#absent(() => this.#lstatAt(absolute));
    return found?.kind === "directory";
  }

  #lstat(path: string): Promise<Attrs> {
    return this.#lstatAt(this.#path(path));
  }

  async #lstatAt(absolute: string): Promise<Attrs> {
    const { fields } = await this.#connection.request(TYPE.lstat, new Body().text(absolute));
    return fields.attrs();
  }

  async #handle(type: number, body: Body): Promise<Buffer> {
    const { fields } = await this.#connection.request(type, body);
    return Buffer.from(fields.bytes());
  }

  async #close(handle: Buffer): Promise<void> {
    await this.#connection.request(TYPE.close, new Body().text(handle));
  }

  async #extended(name: string, body: Body): Promise<void> {
    try {
      await this.#connection.request(TYPE.extended, body);
    } catch (error) {
      if (error instanceof SftpRefusal && error.code > STATUS.failure) {
        throw new Error(`its SFTP server refuses ${name}: ${error.message}`);
      }
      throw error;
    }
  }

  /** Null: there is no such file. */
  async #absent<T>(work: () => Promise<T>): Promise<T | null> {
    return this.#unless(STATUS.noSuchFile, work);
  }

  /** Null: the end was reached. */
  async #ended<T>(work: () => Promise<T>): Promise<T | null> {
    return this.#unless(STATUS.eof, work);
  }

  async #unless<T>(code: number, work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof SftpRefusal && error.code === code) return null;
      throw error;
    }
  }

  #path(path: string): string {
    return path === "" ? this.#root : `${this.#root}/${path}`;
  }
}

/** Waits for all, then fails with the first failure: a request may be answered after another one's refusal. */
async function allOf(steps: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(steps);
  const bad = results.find((result) => result.status === "rejected");
  if (bad) throw bad.reason;
}
