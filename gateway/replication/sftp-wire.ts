/**
 * Packets of SFTP, version 3 (draft-ietf-secsh-filexfer-02), and OpenSSH's two extensions that a replica needs: a link
 * that never replaces, and bringing a file to the disk (PROTOCOL, section 4, in OpenSSH's sources).
 */
export const TYPE = {
  init: 1,
  version: 2,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attrs: 105,
  extended: 200,
} as const;

export const STATUS = { ok: 0, eof: 1, noSuchFile: 2, failure: 4 } as const;
export const OPEN = { read: 0x01, write: 0x02, create: 0x08, exclusive: 0x20 } as const;
export const EXTENSION = { link: "hardlink@openssh.com", sync: "fsync@openssh.com" } as const;

const HAS = { size: 1, owner: 2, mode: 4, times: 8, extended: 0x80000000 } as const;
const KIND = { mask: 0o170000, directory: 0o040000, file: 0o100000 } as const;
/** Largest packet that OpenSSH's server sends or takes, bytes (SFTP_MAX_MSG_LENGTH). */
const MAX_PACKET = 256 * 1024;

export interface Attrs {
  size: number;
  kind: "file" | "directory" | "other";
  modifiedMs: number;
}

/** Builds the body of a packet. */
export class Body {
  readonly #parts: Buffer[] = [];

  u32(value: number): this {
    const part = Buffer.alloc(4);
    part.writeUInt32BE(value >>> 0);
    this.#parts.push(part);
    return this;
  }

  u64(value: number): this {
    const part = Buffer.alloc(8);
    part.writeBigUInt64BE(BigInt(value));
    this.#parts.push(part);
    return this;
  }

  text(value: string | Uint8Array): this {
    const bytes = typeof value === "string" ? Buffer.from(value) : value;
    this.u32(bytes.length);
    this.#parts.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    return this;
  }

  /** Attributes that say nothing but the mode. */
  mode(mode: number): this {
    return this.u32(HAS.mode).u32(mode);
  }

  /** The packet on the wire. */
  packet(type: number, id: number): Buffer {
    const body = Buffer.concat(this.#parts);
    const head = Buffer.alloc(9);
    head.writeUInt32BE(body.length + 5);
    head.writeUInt8(type, 4);
    head.writeUInt32BE(id, 5);
    return Buffer.concat([head, body]);
  }
}

/** Reads the body of a packet. Throws RangeError when it is shorter than it says. */
export class Fields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u32(): number {
    this.#at += 4;
    return this.#bytes.readUInt32BE(this.#at - 4);
  }

  u64(): number {
    this.#at += 8;
    return Number(this.#bytes.readBigUInt64BE(this.#at - 8));
  }

  bytes(): Buffer {
    const length = this.u32();
    if (length > this.left) throw new RangeError("a packet is shorter than it says");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  text(): string {
    return this.bytes().toString();
  }

  attrs(): Attrs {
    const flags = this.u32();
    const size = flags & HAS.size ? this.u64() : 0;
    if (flags & HAS.owner) this.u64();
    const mode = flags & HAS.mode ? this.u32() : 0;
    let modifiedMs = 0;
    if (flags & HAS.times) {
      this.u32();
      modifiedMs = this.u32() * 1_000;
    }
    if (flags & HAS.extended) {
      for (let pairs = this.u32(); pairs > 0; pairs--) {
        this.bytes();
        this.bytes();
      }
    }
    const type = mode & KIND.mask;
    const kind =
      type === KIND.file ? "file" : type === KIND.directory ? "directory" : ("other" as const);
    return { size, kind, modifiedMs };
  }
}

export interface Packet {
  type: number;
  /** Number of the request; the version for the server's first packet. */
  id: number;
  fields: Fields;
}

/** Cuts a stream of bytes into packets. Throws RangeError on what is no SFTP. */
export class PacketReader {
  #rest: Buffer = Buffer.alloc(0);

  push(bytes: Buffer): Packet[] {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const packets: Packet[] = [];
    for (;;) {
      if (this.#rest.length < 4) return packets;
      const length = this.#rest.readUInt32BE(0);
      if (length < 5 || length > MAX_PACKET) {
        throw new RangeError("the other side does not speak SFTP");
      }
      if (this.#rest.length < 4 + length) return packets;
      const body = this.#rest.subarray(4, 4 + length);
      this.#rest = this.#rest.subarray(4 + length);
      packets.push({
        type: body.readUInt8(0),
        id: body.readUInt32BE(1),
        fields: new Fields(body.subarray(5)),
      });
    }
  }
}
