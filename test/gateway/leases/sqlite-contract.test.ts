import { leaseStoreContract } from "../../contracts/lease-store.ts";
import { sqliteLeaseWorld } from "./world.ts";

leaseStoreContract("SQLite", sqliteLeaseWorld);
