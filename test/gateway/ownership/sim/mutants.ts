import * as rules from "../../../../gateway/ownership/rules.ts";
import type { OwnershipState, Self } from "../../../../gateway/ownership/state.ts";
import type { OwnershipEffect, OwnershipEvent } from "../../../../gateway/ownership/types.ts";
import type { Kind } from "./faults.ts";
import { SIM_TIMING } from "./world.ts";

type Step = typeof rules.step;

/** What the simulated supervisor runs on: the real rules, or deliberately broken ones. */
export interface Rules {
  initial(self: Self): OwnershipState;
  step: Step;
  /** The deadline a renewal gives, from its send and receive times. */
  deadline(sentAt: number, receivedAt: number): number;
  readsMarkers: boolean;
  /** The store compares its own name with the one that was asked. */
  namesStore: boolean;
}

export const REAL: Rules = {
  initial: (self) => rules.initial(self, SIM_TIMING),
  step: rules.step,
  deadline: (sentAt) => sentAt + SIM_TIMING.holdMs,
  readsMarkers: true,
  namesStore: true,
};

function timed(change: Partial<typeof SIM_TIMING>): Rules {
  const timing = { ...SIM_TIMING, ...change };
  return {
    ...REAL,
    initial: (self) => rules.initial(self, timing),
    deadline: (sentAt) => sentAt + timing.holdMs,
  };
}

/** Changes events before the rules see them. */
function misled(change: (event: OwnershipEvent, state: OwnershipState) => OwnershipEvent): Rules {
  return { ...REAL, step: (state, event) => rules.step(state, change(event, state)) };
}

/** Answers effects by itself at once, without anything having been done. */
function hasty(answer: (effect: OwnershipEffect) => OwnershipEvent | null): Rules {
  return {
    ...REAL,
    step: (state, event) => {
      const first = rules.step(state, event);
      const effects = [...first.effects];
      let next = first.state;
      for (const effect of first.effects) {
        const lie = answer(effect);
        if (!lie) continue;
        const more = rules.step(next, { ...lie, now: next.now });
        next = more.state;
        effects.push(...more.effects);
      }
      return { state: next, effects };
    },
  };
}

function unlimited(effect: OwnershipEffect): OwnershipEffect {
  return effect.do === "acquire" ? { ...effect, diskAtMost: null } : effect;
}

/** Rules with one thing wrong each; the randomised test must catch every one. */
export const MUTANTS: Record<string, Rules> = {
  "the deadline counts from when the answer came": {
    ...misled((event) =>
      event.type === "renewed" || event.type === "acquired"
        ? { ...event, sentAt: event.now }
        : event,
    ),
    deadline: (_sentAt, receivedAt) => receivedAt + SIM_TIMING.holdMs,
  },
  "an owner holds longer than the time to live": timed({ holdMs: 12_000 }),
  "a lease is called dead too early": timed({ ttlMs: 5_000 }),
  "a new store is taken for the old one": misled((event) =>
    "view" in event ? { ...event, view: { ...event.view, storeId: "always" } } : event,
  ),
  "an empty store is always believed": {
    ...REAL,
    step: (state, event) => {
      const { state: next, effects } = rules.step(state, event);
      const store = next.store && { ...next.store, first: true };
      const view = next.view && { ...next.view, pristine: true };
      return { state: { ...next, store, view }, effects: effects.map(unlimited) };
    },
  },
  "a forgotten owner on disk stops nobody": {
    ...REAL,
    step: (state, event) => {
      const { state: next, effects } = rules.step(state, event);
      return { state: next, effects: effects.map(unlimited) };
    },
  },
  "the lease is released before the cage is empty": hasty((effect) =>
    effect.do === "stop" || effect.do === "kill"
      ? { type: "emptied", now: 0, shard: effect.shard, epoch: effect.epoch }
      : null,
  ),
  "the start does not wait for what is left": hasty((effect) =>
    effect.do === "clear"
      ? { type: "cleared", now: 0, shard: effect.shard, epoch: effect.epoch }
      : null,
  ),
  "epochs on disk are not read": { ...REAL, readsMarkers: false },
  "a late question is answered by another store": { ...REAL, namesStore: false },
  "another boot id means dead on other machines too": {
    ...REAL,
    initial: (self) => rules.initial({ ...self, sameMachine: true }, SIM_TIMING),
  },
  "the death of one incarnation is that of its node": {
    ...REAL,
    step: (state, event) => {
      const { state: next, effects } = rules.step(state, event);
      const dead = next.dead.map((d) => {
        const incarnation = next.view?.nodes[d.node]?.incarnation ?? d.incarnation;
        return { ...d, incarnation };
      });
      return { state: { ...next, dead }, effects };
    },
  },
  "everybody thinks to be first": misled((event, state) => {
    if (!("view" in event)) return event;
    const own = event.view.nodes[state.self.node];
    const nodes = own ? { [own.id]: own } : {};
    return { ...event, view: { ...event.view, nodes } };
  }),
  "a homecoming begins unannounced": {
    ...REAL,
    step: (state, event) => {
      if (event.type !== "renewed") return rules.step(state, event);
      const nodes = Object.fromEntries(
        Object.values(event.view.nodes).map((node) => {
          const own = node.id === state.self.node;
          const shards = Object.entries(node.shards).map(([shard, report]) => [
            shard,
            { ...report, state: own ? "draining" : "serving" },
          ]);
          return [node.id, { ...node, shards: Object.fromEntries(shards) }];
        }),
      );
      return rules.step(state, { ...event, view: { ...event.view, nodes } });
    },
  },
  "a killed epoch starts again": {
    ...REAL,
    step: (state, event) => {
      const { state: next, effects } = rules.step(state, event);
      const again = effects
        .filter((effect) => effect.do === "kill")
        .map(({ shard, epoch }) => ({ do: "start" as const, shard, epoch }));
      return { state: next, effects: [...effects, ...again] };
    },
  },
  "a called-off drain is not called off": {
    ...REAL,
    step: (state, event) => {
      const { state: next, effects } = rules.step(state, event);
      return { state: next, effects: effects.filter((effect) => effect.do !== "undrain") };
    },
  },
  "maintenance is not seen": misled((event) =>
    "view" in event ? { ...event, view: { ...event.view, maintenance: {} } } : event,
  ),
  "a missing answer is never asked for again": {
    ...REAL,
    step: (state, event) => {
      const { state: next, effects } = rules.step(state, event);
      const holds = Object.fromEntries(
        Object.entries(next.holds).map(([s, hold]) => [s, { ...hold, repeatAt: Infinity }]),
      );
      return { state: { ...next, holds }, effects };
    },
  },
};

/** Faults in which a rare mutant shows itself sooner; the others face every kind. */
export const HABITATS: Record<string, readonly Kind[]> = {
  "the deadline counts from when the answer came": ["pauseAtRenewal"],
  "a forgotten owner on disk stops nobody": [
    "storeCopied",
    "storeSwapped",
    "killSupervisor",
    "pin",
  ],
  "a late question is answered by another store": ["lateQuestion", "killSupervisor", "killNode"],
  "a called-off drain is not called off": ["killNode", "killSupervisor", "pin", "unpin"],
};
