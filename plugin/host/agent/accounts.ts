import type { HostUser } from "../../../components/host/types.ts";
import type { HostRecord } from "./record.ts";
import { must, type System } from "./system.ts";

const NO_LOGIN = "/usr/sbin/nologin";

interface Account {
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
}

/** Users and groups of the host, asked once for each name. */
export class Accounts {
  readonly #system: System;
  readonly #uids = new Map<string, number | null>();
  readonly #gids = new Map<string, number | null>();

  constructor(system: System) {
    this.#system = system;
  }

  /** Null: there is no such user. */
  async uid(user: string): Promise<number | null> {
    if (!this.#uids.has(user)) this.#uids.set(user, (await this.#account(user))?.uid ?? null);
    return this.#uids.get(user) ?? null;
  }

  async gid(group: string): Promise<number | null> {
    if (!this.#gids.has(group)) {
      const { code, stdout } = await this.#system.run(["getent", "group", group]);
      this.#gids.set(group, code === 0 ? Number(stdout.split(":")[2]) : null);
    }
    return this.#gids.get(group) ?? null;
  }

  /** How a user differs from its plan; null: it does not. */
  async difference(name: string, user: HostUser, ours: boolean): Promise<string | null> {
    const account = await this.#account(name);
    if (!account) return "is missing";
    // Somebody else's user keeps its ways; only groups are added to it.
    if (ours && account.home !== user.home) return `has the home ${account.home}`;
    if (ours && account.shell !== (user.shell ?? NO_LOGIN)) return `has the shell ${account.shell}`;
    const lacking = await this.#lacking(name, user);
    return lacking.length > 0 ? `is not in ${lacking.join(", ")}` : null;
  }

  /** Makes users as planned. Each entry of the record is written by `note` before its user is touched. */
  async make(
    users: Readonly<Record<string, HostUser>>,
    record: HostRecord,
    note: () => void,
  ): Promise<string[]> {
    const changed: string[] = [];
    for (const [name, user] of Object.entries(users)) {
      const account = await this.#account(name);
      const known = record.users[name] ?? { ours: account === null, groups: [] };
      const lacking = account ? await this.#lacking(name, user) : [];
      record.users[name] = { ...known, groups: [...new Set([...known.groups, ...lacking])] };
      note();
      if (!account) {
        await must(this.#system, addUser(name, user), `making user ${name}`);
        changed.push(`user ${name} made`);
      } else if ((await this.difference(name, user, known.ours)) !== null) {
        const own = known.ours ? ["--home", user.home, "--shell", user.shell ?? NO_LOGIN] : [];
        const groups = lacking.length > 0 ? ["--append", "--groups", lacking.join(",")] : [];
        await must(this.#system, ["usermod", ...own, ...groups, name], `changing user ${name}`);
        changed.push(`user ${name} changed`);
      }
      if (known.ours && (await this.#takeHome(name, user))) {
        changed.push(`${user.home} given to ${name}, who has another number on this machine`);
      }
    }
    this.#uids.clear();
    this.#gids.clear();
    return changed;
  }

  /** Takes away what {@link make} did for a user. True when something was done. */
  async unmake(name: string, record: HostRecord): Promise<boolean> {
    const known = record.users[name];
    const account = await this.#account(name);
    if (!known || !account) return false;
    if (known.ours) {
      await must(this.#system, ["userdel", name], `removing user ${name}`);
      return true;
    }
    for (const group of known.groups) {
      await this.#system.run(["gpasswd", "--delete", name, group]);
    }
    return known.groups.length > 0;
  }

  /**
   * A machine in another's place has that one's disk, and may number its users otherwise. The folder itself
   * is changed last, so that a run that was killed is taken up.
   */
  async #takeHome(name: string, { home }: HostUser): Promise<boolean> {
    const found = await this.#system.run(["stat", "--format=%u:%g", home]);
    const [, uid, gid] = /^(\d+):(\d+)$/.exec(found.stdout.trim()) ?? [];
    if (found.code !== 0 || uid === undefined || Number(uid) === 0) return false;
    const account = await this.#account(name);
    if (!account || account.uid === Number(uid)) return false;
    const chown = ["chown", "--recursive", "--no-dereference", `--from=${uid}:${gid}`];
    await must(this.#system, [...chown, `${name}:${name}`, home], `giving ${home} to ${name}`);
    return true;
  }

  async #account(name: string): Promise<Account | null> {
    const { code, stdout } = await this.#system.run(["getent", "passwd", name]);
    if (code !== 0) return null;
    const [, , uid, gid, , home = "", shell = ""] = stdout.trim().split(":");
    return { uid: Number(uid), gid: Number(gid), home, shell };
  }

  async #lacking(name: string, { groups = [] }: HostUser): Promise<string[]> {
    if (groups.length === 0) return [];
    const { stdout } = await this.#system.run(["id", "--name", "--groups", name]);
    const member = stdout.trim().split(/\s+/);
    return groups.filter((group) => !member.includes(group));
  }
}

function addUser(name: string, { home, shell, groups = [] }: HostUser): string[] {
  const more = groups.length > 0 ? ["--groups", groups.join(",")] : [];
  const base = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", home];
  return [...base, "--shell", shell ?? NO_LOGIN, ...more, name];
}
