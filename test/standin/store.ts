import { DatabaseSync } from "node:sqlite";
import { type AccountSettings, type Entry, type Residue, type Row, World } from "./world.ts";

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = OFF;
  CREATE TABLE IF NOT EXISTS rows (key TEXT PRIMARY KEY, value TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS log (turn INTEGER PRIMARY KEY, value TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
`;

/** Longest wait for another provider's turn, ms. */
const BUSY_MS = 60_000;

/**
 * A world in a SQLite file, for several provider processes of one stack at a time. Each piece of work
 * sees what the others did, and is written down whole before the next one begins.
 */
export class WorldStore {
  readonly #db: DatabaseSync;
  #world = new World();
  #seen = -1;
  #logged = 0;

  constructor(path: string) {
    this.#db = new DatabaseSync(path);
    this.#db.exec(`PRAGMA busy_timeout = ${BUSY_MS};`);
    this.#db.exec(SCHEMA);
  }

  /** Runs work alone; what it changed and noted is kept also when it throws. */
  work<T>(work: (world: World) => T): T {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      this.#load();
      try {
        return work(this.#world);
      } finally {
        this.#save();
      }
    } finally {
      this.#db.exec("COMMIT");
    }
  }

  close(): void {
    this.#db.close();
  }

  /** Reads anew only when another connection wrote. */
  #load(): void {
    const version = this.#db.prepare("PRAGMA data_version").get() as { data_version: number };
    if (version.data_version === this.#seen) return;
    this.#seen = version.data_version;
    const world = new World();
    for (const { value } of this.#all("rows")) {
      const row = JSON.parse(value) as Row;
      world.rows.set(row.key, row);
    }
    for (const { value } of this.#all("log")) world.log.push(JSON.parse(value) as Entry);
    for (const { name, value } of this.#all("facts")) {
      const fact: unknown = JSON.parse(value);
      if (name === "counts") Object.assign(world.counts, fact);
      if (name === "settings") world.settings = fact as AccountSettings;
      if (name === "residue") for (const one of fact as Residue[]) world.leave(one);
    }
    this.#logged = world.log.length;
    this.#world = world;
  }

  #all(table: "rows" | "log" | "facts") {
    const order = table === "log" ? " ORDER BY turn" : "";
    const rows = this.#db.prepare(`SELECT * FROM ${table}${order}`).all();
    return rows as unknown as { name: string; value: string }[];
  }

  #save(): void {
    const world = this.#world;
    const put = this.#db.prepare("INSERT OR REPLACE INTO rows VALUES (?, ?)");
    const drop = this.#db.prepare("DELETE FROM rows WHERE key = ?");
    for (const key of world.touched) {
      const row = world.rows.get(key);
      if (row) put.run(key, JSON.stringify(row));
      else drop.run(key);
    }
    world.touched.clear();
    const note = this.#db.prepare("INSERT OR REPLACE INTO log VALUES (?, ?)");
    for (const entry of world.log.slice(this.#logged)) note.run(entry.turn, JSON.stringify(entry));
    this.#logged = world.log.length;
    const fact = this.#db.prepare("INSERT OR REPLACE INTO facts VALUES (?, ?)");
    fact.run("counts", JSON.stringify(world.counts));
    fact.run("settings", JSON.stringify(world.settings));
    fact.run("residue", JSON.stringify([...world.residue.values()]));
  }
}
