import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Position } from "../../../gateway/replication/manifest.ts";
import {
  candidates,
  type DirectoryView,
  lossOf,
  type ManifestFacts,
  placeKey,
  planSeals,
  planTake,
} from "../../../gateway/replication/rules.ts";
import { Broken, type Mutant, ReplicaWorld } from "./rules-sim.ts";

const schedules = fc.array(fc.nat(0xffff), { minLength: 50, maxLength: 900, size: "max" });

describe("over schedules of crashes, late puts, lost chunks, lost disks and several takers", () => {
  it("goes on from a prefix of what was served, and reports what was published and is gone", () => {
    const seen = { losses: 0, restores: 0, locals: 0 };
    fc.assert(
      fc.property(schedules, (numbers) => {
        const world = new ReplicaWorld(numbers);
        world.run();
        seen.losses += world.losses;
        seen.restores += world.restores;
        seen.locals += world.locals;
      }),
      { numRuns: Number(process.env.REPLICA_SCHEDULES ?? 2_000), endOnFailure: true },
    );
    // The schedules reach what they are about.
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(50);
  });

  const unsealed = (views: readonly DirectoryView[] | null) =>
    views === null ? null : views.map((view) => ({ ...view, seals: {} }));
  const mutants: Record<string, Mutant> = {
    "seals are not read": {
      plan: (input) => planTake({ ...input, directories: unsealed(input.directories) }),
    },
    "nothing is sealed": { seals: () => [] },
    "only what is gone on from is sealed": {
      seals: (me, views, parents) =>
        planSeals(me, views, parents).filter(({ directory }) =>
          parents.some((parent) => parent.directory === directory),
        ),
    },
    "a seal allows everything": {
      seals: (...args) => planSeals(...args).map((seal) => ({ ...seal, seq: 9_999 })),
    },
    "local state is always used": {
      plan: (input) => (input.local ? { use: "local" } : planTake(input)),
    },
    "a replica that is away counts as an empty one": {
      plan: (input) => planTake({ ...input, directories: input.directories ?? [], before: 0 }),
    },
    "losses are not reported": { loss: () => null },
    "what local state carries is not counted": { carried: () => 0 },
  };
  it.each(Object.keys(mutants))("notices when %s", (name) => {
    const mutant = mutants[name];
    const result = fc.check(
      fc.property(schedules, (numbers) => new ReplicaWorld(numbers, mutant).run()),
      { numRuns: 20_000, seed: 7, endOnFailure: true },
    );
    expect(result.failed).toBe(true);
    expect(result.errorInstance).toBeInstanceOf(Broken);
  });
});

const dir = (epoch: number) => `${String(epoch).padStart(12, "0")}-n${epoch}-i${epoch}`;
const view = (epoch: number, manifests: number[], more: Partial<DirectoryView> = {}) => ({
  directory: dir(epoch),
  manifests,
  seals: {},
  final: null,
  ...more,
});
const facts = (parents: Record<string, [number, number] | null>): ManifestFacts =>
  new Map(
    Object.entries(parents).map(([key, parent]) => [
      key,
      {
        parents: parent ? [{ directory: dir(parent[0]), seq: parent[1] }] : [],
        changes: 10,
        lost: null,
      },
    ]),
  );
const me = { epoch: 9, node: "n9", incarnation: "i9" };
const input = { me, before: 8, local: null, manifests: new Map(), published: null };
const position = (epoch: number, seq: number, changes: number): Position => ({
  directory: dir(epoch),
  seq,
  changes,
  final: false,
});

describe("what a taker goes on with", () => {
  it("is nothing only for a shard that never had an owner", () => {
    expect(planTake({ ...input, before: 0, directories: [] })).toEqual({ use: "nothing" });
    expect(planTake({ ...input, before: 0, directories: null })).toEqual({ use: "nothing" });
    for (const directories of [[], null]) {
      expect(planTake({ ...input, directories })).toMatchObject({ use: "none" });
    }
  });

  it("is the newest manifest up to a seal, then what that epoch began from", () => {
    const views = [
      view(3, [1, 2, 3, 4], { seals: { [dir(5)]: 3 } }),
      view(5, [1, 2, 7], { seals: { [dir(8)]: 2 } }),
    ];
    const known = facts({ [`${dir(3)}/3`]: null, [`${dir(5)}/2`]: [3, 3] });
    const places = candidates(views, known).map(placeKey);
    expect(places).toEqual(
      [5, 5, 3, 3, 3].map((epoch, at) => `${dir(epoch)}/${[2, 1, 3, 2, 1][at]}`),
    );
  });

  it("is never a branch that a later taker did not see", () => {
    const views = [view(3, [1], { seals: { [dir(5)]: 1, [dir(8)]: 1 } }), view(5, [1, 2])];
    const known = facts({ [`${dir(3)}/1`]: null, [`${dir(5)}/2`]: [3, 1] });
    expect(candidates(views, known)).toEqual([{ directory: dir(3), seq: 1 }]);
  });

  it("is local state only while nothing shows a later epoch", () => {
    const local = { directory: dir(5), durable: true };
    const known = facts({ [`${dir(5)}/2`]: null });
    const plan = (views: DirectoryView[] | null, before = 8) =>
      planTake({ ...input, before, local, directories: views, manifests: known }).use;
    expect(plan([view(5, [1, 2])])).toBe("local");
    expect(plan([view(5, [1, 2], { seals: { [dir(6)]: 2 } })])).toBe("replica");
    expect(plan(null, 5)).toBe("local");
    expect(plan(null, 8)).toBe("none");
    // A disk that is not mounted looks like a target that is empty.
    expect(plan([], 5)).toBe("local");
    expect(plan([], 8)).toBe("none");
  });

  it("is the replica after a power cut, if it holds all that was published", () => {
    const local = { directory: dir(5), durable: false };
    const directories = [view(5, [1, 2])];
    const manifests = facts({ [`${dir(5)}/2`]: null });
    const plan = (published: Position | null) =>
      planTake({ ...input, local, directories, manifests, published });
    expect(plan(position(5, 2, 10))).toMatchObject({ use: "replica", orLocal: true });
    expect(plan(position(5, 2, 11))).toEqual({ use: "local" });
    expect(plan(null)).toEqual({ use: "local" });
  });

  it("is nothing at all for a taker that has been overtaken", () => {
    const directories = [view(5, [1], { seals: { [dir(11)]: 1 } })];
    const plan = planTake({ ...input, directories, manifests: facts({ [`${dir(5)}/1`]: null }) });
    expect(plan).toMatchObject({ use: "none", why: expect.stringContaining("epoch 11") });
  });
});

describe("what is missing", () => {
  const has = (epoch: number, seq: number, changes: number) => ({
    directory: dir(epoch),
    seq,
    changes,
    lost: null,
  });
  it("is counted in manifests and commits", () => {
    expect(lossOf(position(5, 7, 30), has(5, 7, 30), [])).toBeNull();
    expect(lossOf(position(5, 7, 30), has(5, 8, 31), [])).toBeNull();
    expect(lossOf(position(5, 7, 33), has(5, 6, 30), [])).toMatchObject({
      manifests: 1,
      changes: 3,
    });
    expect(lossOf(position(5, 7, 33), has(5, 7, 30), [])).toMatchObject({
      manifests: 0,
      changes: 3,
    });
    expect(lossOf(position(5, 7, 33), null, [])).toMatchObject({ manifests: 7, changes: 33 });
    expect(lossOf(null, has(5, 6, 30), [])).toBeNull();
  });

  it("is a whole epoch, and what that one had begun from, when both are gone", () => {
    const views = [view(4, [1, 2], { seals: { [dir(5)]: 2 } })];
    expect(lossOf(position(5, 7, 33), has(4, 2, 9), views)).toMatchObject({
      manifests: 7,
      changes: 33,
    });
    expect(lossOf(position(5, 0, 0), has(4, 2, 9), views)).toBeNull();
    expect(lossOf(position(5, 0, 0), has(4, 1, 5), views)).toMatchObject({
      manifests: 1,
      changes: 1,
    });
  });

  it("is told once more until an epoch has published something", () => {
    const lost = { published: position(4, 3, 9), restored: null, manifests: 3, changes: 9 };
    expect(lossOf(position(4, 3, 9), { ...has(5, 1, 0), lost }, [])).toBe(lost);
    expect(lossOf(position(5, 1, 0), { ...has(5, 1, 0), lost }, [])).toBeNull();
  });
});
