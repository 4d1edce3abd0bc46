/** What a lease store does, as plain as it can be said, and the commands that compare a store with it. */
import fc from "fast-check";
import { expect } from "vitest";
import type { Lease, LeaseStore } from "../../gateway/leases/store.ts";
import { acquireRequest, heldBy, nodeRecord } from "./lease-fixtures.ts";
import { eventually, type LeaseWorld } from "./lease-store.ts";

type Row = Pick<Lease, "owner" | "incarnation" | "epoch" | "beat" | "position" | "handTo">;

export class LeaseModel {
  readonly world: LeaseWorld;
  rows = new Map<string, Row>();
  pins = new Map<string, string>();
  saved: { rows: Map<string, Row>; pins: Map<string, string> } | null = null;
  /** Store id seen last; after a fault it must be another, otherwise the same. */
  storeId = "";
  faulted = true;
  pristine = true;

  constructor(world: LeaseWorld) {
    this.world = world;
  }

  check(view: Awaited<ReturnType<LeaseStore["read"]>>): void {
    const rows = Object.fromEntries(
      Object.entries(view.leases).map(([shard, lease]) => {
        const { owner, incarnation, epoch, beat, position, handTo } = lease;
        return [shard, { owner, incarnation, epoch, beat, position, handTo }];
      }),
    );
    expect(rows).toEqual(Object.fromEntries(this.rows));
    expect(view.pins).toEqual(Object.fromEntries(this.pins));
    expect(view.pristine).toBe(this.pristine);
    expect(view.storeId !== this.storeId).toBe(this.faulted);
    this.storeId = view.storeId;
    this.faulted = false;
  }
}

interface Real {
  world: LeaseWorld;
  clients: LeaseStore[];
}

class Step implements fc.AsyncCommand<LeaseModel, Real> {
  readonly #name: string;
  readonly #run: (model: LeaseModel, real: Real) => Promise<void>;
  readonly #possible: (model: LeaseModel) => boolean;
  constructor(
    name: string,
    run: (model: LeaseModel, real: Real) => Promise<void>,
    possible: (model: LeaseModel) => boolean = () => true,
  ) {
    this.#name = name;
    this.#run = run;
    this.#possible = possible;
  }
  check(model: Readonly<LeaseModel>): boolean {
    return this.#possible(model);
  }
  run(model: LeaseModel, real: Real): Promise<void> {
    return this.#run(model, real);
  }
  toString(): string {
    return this.#name;
  }
}

const client = fc.nat({ max: 2 });
const node = fc.constantFrom("n1", "n2");
const shard = fc.constantFrom("s1", "s2");
const epoch = fc.integer({ min: 1, max: 5 });

const pick = (real: Real, index: number) => real.clients[index] as LeaseStore;

export const commands = [
  fc.tuple(client, node, shard, epoch, fc.constantFrom("exact", "none", "old")).map(
    ([c, n, s, e, kind]) =>
      new Step(`acquire ${s} for ${n} epoch ${e}, expecting ${kind}`, async (model, real) => {
        const row = model.rows.get(s);
        const expected =
          kind === "none" || !row
            ? null
            : { epoch: row.epoch, beat: row.beat - (kind === "old" ? 1 : 0), owner: row.owner };
        const good = e > (row?.epoch ?? 0) && (row ? kind === "exact" : true);
        const lease = await eventually(() =>
          pick(real, c).acquire(acquireRequest(n, e, expected, s)),
        );
        expect(lease !== null).toBe(good);
        if (!good) return;
        model.rows.set(s, {
          owner: n,
          incarnation: `inc-${n}`,
          epoch: e,
          beat: (row?.beat ?? 0) + 1,
          position: row?.position ?? null,
          handTo: null,
        });
      }),
  ),
  fc.tuple(client, node, shard, epoch, fc.boolean()).map(
    ([c, n, s, e, live]) =>
      new Step(`renew ${s} of ${n} epoch ${e}, ${live ? "live" : "late"}`, async (model, real) => {
        const row = model.rows.get(s);
        const until = model.world.clock.now() + (live ? 1_000 : -1_000);
        const held = [{ ...heldBy(e, `at-${e}`, s), until }];
        const result = await eventually(() => pick(real, c).renew({ node: nodeRecord(n), held }));
        const mine = row?.epoch === e && row.owner === n;
        const lost = row && row.epoch >= e ? !mine : !live;
        expect(result.lost).toEqual(lost ? [s] : []);
        expect(result.kept).toEqual(lost ? [] : [s]);
        if (!lost) {
          model.rows.set(s, {
            owner: n,
            incarnation: `inc-${n}`,
            epoch: e,
            beat: (row?.beat ?? 0) + 1,
            position: `at-${e}`,
            handTo: null,
          });
        }
        model.check(result.view);
      }),
  ),
  fc.tuple(client, node, shard, epoch).map(
    ([c, n, s, e]) =>
      new Step(`release ${s} of ${n} epoch ${e}`, async (model, real) => {
        const row = model.rows.get(s);
        const mine = row?.epoch === e && row.owner === n;
        const request = {
          shard: s,
          node: n,
          incarnation: `inc-${n}`,
          epoch: e,
          position: "end",
          handTo: "n2",
          reason: "test",
        };
        expect(await eventually(() => pick(real, c).release(request))).toBe(mine);
        if (!mine || !row) return;
        model.rows.set(s, {
          owner: null,
          incarnation: null,
          epoch: e,
          beat: row.beat + 1,
          position: "end",
          handTo: "n2",
        });
      }),
  ),
  fc.tuple(client, shard, fc.option(node)).map(
    ([c, s, n]) =>
      new Step(`pin ${s} to ${n}`, async (model, real) => {
        await eventually(() => pick(real, c).setPin(s, n));
        if (n) model.pins.set(s, n);
        else model.pins.delete(s);
      }),
  ),
  client.map(
    (c) =>
      new Step("read", async (model, real) => {
        model.check(await eventually(() => pick(real, c).read()));
      }),
  ),
  fc.constant(
    new Step(
      "lose",
      async (model, real) => {
        await real.world.lose?.();
        model.rows = new Map();
        model.pins = new Map();
        model.pristine = false;
        model.faulted = true;
      },
      (model) => model.world.lose !== undefined,
    ),
  ),
  fc.constant(
    new Step(
      "save",
      async (model, real) => {
        await real.world.save?.();
        model.saved = structuredClone({ rows: model.rows, pins: model.pins });
      },
      (model) => model.world.save !== undefined && !model.faulted,
    ),
  ),
  fc.constant(
    new Step(
      "swap the saved one in",
      async (model, real) => {
        await real.world.swapOld?.();
        const { rows, pins } = structuredClone(model.saved) ?? model;
        model.rows = rows;
        model.pins = pins;
        model.pristine = false;
        model.faulted = true;
      },
      (model) => model.world.swapOld !== undefined && model.saved !== null,
    ),
  ),
];
