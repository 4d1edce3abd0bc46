import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** The way to an address. Once dead it carries nothing and says nothing, and both ends believe in it. */
export class Path {
  readonly #server: Server;
  readonly #ends = new Set<Socket>();
  #dead = false;

  private constructor(to: string) {
    const [host, port] = to.split(":");
    this.#server = createServer((near) => {
      const far = connect(Number(port), host as string);
      for (const [from, onward] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#ends.add(from);
        from.on("data", (chunk) => {
          if (!this.#dead) onward.write(chunk);
        });
        from.on("error", () => undefined);
        from.on("close", () => {
          this.#ends.delete(from);
          if (!this.#dead) onward.destroy();
        });
      }
    });
  }

  static async to(address: string): Promise<Path> {
    const path = new Path(address);
    await new Promise<void>((resolve) => path.#server.listen(0, "127.0.0.1", resolve));
    return path;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Connections on it now. */
  get used(): number {
    return this.#ends.size / 2;
  }

  die(): void {
    this.#dead = true;
  }

  async close(): Promise<void> {
    for (const end of this.#ends) end.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
