/**
 * What has to be done to make a Redis cluster what it is planned to be: formed once, a replaced server
 * taken in, one that is gone forgotten, masters on different hosts. Pure: from what each server says to
 * the next commands. Every host runs it again and again; each acts on its own servers, and only the host
 * of the first planned server gives slots away, so that no two ever do.
 */

/** A planned server. */
export interface PlannedServer {
  readonly host: string;
  readonly port: number;
  /** Part of the data it begins with. */
  readonly shard: number;
  /** Begins as its part's master. */
  readonly first: boolean;
}

/** A server as another one, or itself, knows it: one line of CLUSTER NODES. */
export interface ClusterNode {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly flags: readonly string[];
  /** Id of its master; null for a master. */
  readonly master: string | null;
  /** Slots, both ends included. */
  readonly slots: readonly (readonly [number, number])[];
}

/** What a planned server says; null: it does not answer. */
export type Views = readonly (readonly ClusterNode[] | null)[];

export type Step =
  | { readonly kind: "meet"; readonly on: number; readonly other: PlannedServer }
  | { readonly kind: "slots"; readonly on: number; readonly from: number; readonly to: number }
  | { readonly kind: "replicate"; readonly on: number; readonly master: string }
  | { readonly kind: "forget"; readonly on: number; readonly id: string }
  | { readonly kind: "take-over"; readonly on: number };

export const SLOTS = 16_384;

/** Reads CLUSTER NODES. Lines of servers that are still shaking hands are left out. */
export function parseNodes(text: string): ClusterNode[] {
  return text
    .split("\n")
    .map((line) => line.trim().split(" "))
    .filter((words) => words.length >= 8 && !(words[2] as string).includes("handshake"))
    .map(([id = "", at = "", flags = "", master = "-", , , , , ...slots]) => {
      const [where = "", name] = at.split(",");
      const address = where.replace(/@\d+$/, "");
      const colon = address.lastIndexOf(":");
      return {
        id,
        host: name && !name.includes("=") ? name : address.slice(0, colon),
        port: Number(address.slice(colon + 1)),
        flags: flags.split(","),
        master: master === "-" ? null : master,
        slots: slots
          .filter((range) => !range.startsWith("["))
          .map((range) => {
            const [from, to = from] = range.split("-").map(Number);
            return [from, to] as [number, number];
          }),
      };
    });
}

/** The next commands; none when all is as it should be, or nothing can be done now. */
export function nextSteps(
  self: string,
  servers: readonly PlannedServer[],
  views: Views,
): readonly Step[] {
  const cluster = new Seen(self, servers, views);
  const stages = [meet, giveSlots, replicate, forget, spread];
  for (const stage of stages) {
    const steps = stage(cluster);
    if (steps.length > 0) return steps;
  }
  return [];
}

class Seen {
  readonly servers: readonly PlannedServer[];
  /** Places in the list of servers that are on this host and answer. */
  readonly own: readonly number[];
  /** Each planned server's own id; null: it does not answer. */
  readonly ids: readonly (string | null)[];
  readonly views: Views;
  readonly leads: boolean;

  constructor(self: string, servers: readonly PlannedServer[], views: Views) {
    this.servers = servers;
    this.views = views;
    this.ids = views.map((view) => myself(view)?.id ?? null);
    this.own = servers.flatMap(({ host }, n) => (host === self && views[n] ? [n] : []));
    this.leads = servers[0]?.host === self;
  }

  get allAnswer(): boolean {
    return this.ids.every((id) => id !== null);
  }

  /** Servers that answer, as one of them sees them, and each of itself. */
  get nodes(): readonly (ClusterNode & { place: number })[] {
    return this.views.flatMap((view, place) => {
      const node = myself(view);
      return node ? [{ ...node, place }] : [];
    });
  }

  /** By id, of those that answer. */
  node(id: string | null): (ClusterNode & { place: number }) | undefined {
    return this.nodes.find((node) => node.id === id);
  }

  hostOf(place: number): string {
    return (this.servers[place] as PlannedServer).host;
  }

  /** Slots that no server has, also none that is away. */
  get uncovered(): [number, number][] {
    const taken = new Uint8Array(SLOTS);
    for (const view of this.views) {
      for (const { slots } of view ?? []) {
        for (const [from, to] of slots) taken.fill(1, from, to + 1);
      }
    }
    const free: [number, number][] = [];
    for (let slot = 0; slot < SLOTS; slot++) {
      if (taken[slot]) continue;
      const last = free.at(-1);
      if (last && last[1] === slot - 1) last[1] = slot;
      else free.push([slot, slot]);
    }
    return free;
  }
}

const myself = (view: readonly ClusterNode[] | null | undefined): ClusterNode | undefined =>
  view?.find(({ flags }) => flags.includes("myself"));

/** Own servers get to know every other that answers. */
function meet({ own, servers, views, ids }: Seen): Step[] {
  return own.flatMap((on) => {
    const known = new Set(views[on]?.map(({ id }) => id));
    return servers.flatMap((other, n): Step[] => {
      const id = ids[n];
      return id !== null && id !== undefined && !known.has(id) ? [{ kind: "meet", on, other }] : [];
    });
  });
}

/** Only when every server answers and nobody has them: then nothing can be given away twice. */
function giveSlots(seen: Seen): Step[] {
  if (!seen.leads || !seen.allAnswer) return [];
  const masters = seen.servers.flatMap(({ first }, n) => (first ? [n] : []));
  return seen.uncovered.flatMap(([from, to]) =>
    masters.flatMap((planned, shard): Step[] => {
      const [start, end] = rangeOf(shard, masters.length);
      const low = Math.max(from, start);
      const high = Math.min(to, end);
      if (low > high) return [];
      const now = seen.node(seen.ids[planned] ?? null);
      const on = now?.master ? seen.node(now.master)?.place : planned;
      return on === undefined ? [] : [{ kind: "slots", on, from: low, to: high }];
    }),
  );
}

/** Slots of one part of several. */
export function rangeOf(shard: number, shards: number): [number, number] {
  return [Math.round((shard * SLOTS) / shards), Math.round(((shard + 1) * SLOTS) / shards) - 1];
}

/** Own masters without slots copy a master on another host: the one of their part, else who has fewest copies. */
function replicate(seen: Seen): Step[] {
  if (seen.uncovered.length > 0) return [];
  const masters = seen.nodes.filter(({ slots, master }) => slots.length > 0 && master === null);
  const copies = (id: string) => seen.nodes.filter(({ master }) => master === id);
  const shards = seen.servers.filter(({ first }) => first).length;
  return seen.own.flatMap((on): Step[] => {
    const node = myself(seen.views[on]);
    if (!node || node.master !== null || node.slots.length > 0) return [];
    const known = new Set(seen.views[on]?.map(({ id }) => id));
    const [start] = rangeOf((seen.servers[on] as PlannedServer).shard, shards);
    const host = seen.hostOf(on);
    const [target] = masters
      .filter(({ id, place }) => known.has(id) && seen.hostOf(place) !== host)
      .filter(({ id }) => copies(id).every(({ place }) => seen.hostOf(place) !== host))
      .map((master) => ({
        master,
        own: master.slots.some(([from, to]) => from <= start && start <= to) ? 0 : 1,
        copies: copies(master.id).length,
      }))
      .sort((one, other) => one.own - other.own || one.copies - other.copies);
    return target ? [{ kind: "replicate", on, master: target.master.id }] : [];
  });
}

/**
 * Flags of a server that is gone. One whose address another took before the masters agreed that it failed has none any
 * more; they do not talk of it, so they never will.
 */
const GONE = ["fail", "noaddr"];

/** A server that is gone, holds nothing, and whose place another has or nobody plans. */
function forget({ own, servers, views, ids }: Seen): Step[] {
  const alive = new Set(ids);
  return own.flatMap((on) =>
    (views[on] ?? []).flatMap(({ id, host, port, flags, slots }): Step[] => {
      if (!flags.some((flag) => GONE.includes(flag)) || slots.length > 0 || alive.has(id))
        return [];
      const place = servers.findIndex((server) => server.host === host && server.port === port);
      const taken = place < 0 || ids[place] !== null;
      return taken ? [{ kind: "forget", on, id }] : [];
    }),
  );
}

/**
 * After failovers one host may have two of three masters, and its loss would leave no majority: the first
 * host without a master takes one of them over, which loses nothing.
 */
function spread(seen: Seen): Step[] {
  const healthy = seen.allAnswer && seen.uncovered.length === 0;
  const faults = seen.views.some((view) =>
    view?.some(({ flags }) => flags.some((flag) => flag.startsWith("fail"))),
  );
  if (!healthy || faults) return [];
  const masters = seen.nodes.filter(({ slots }) => slots.length > 0);
  const count = (host: string) => masters.filter(({ place }) => seen.hostOf(place) === host).length;
  const crowded = masters.filter(({ place }) => count(seen.hostOf(place)) > 1);
  const able = seen.servers.flatMap(({ host }, place) => {
    const node = myself(seen.views[place]);
    const follows = crowded.some(({ id }) => id === node?.master);
    return count(host) === 0 && follows ? [place] : [];
  });
  const [next] = able;
  return next !== undefined && seen.own.includes(next) ? [{ kind: "take-over", on: next }] : [];
}
