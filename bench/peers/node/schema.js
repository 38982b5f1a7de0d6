// The tables, which textbook/schema.py makes; properties are named as on the wire.
import { boolean, doublePrecision, integer, pgTable, text, timestamp, uuid } from "drizzle-orm/pg-core";

const instant = () => timestamp({ withTimezone: true });

export const category = pgTable("category", {
  id: uuid().primaryKey().defaultRandom(),
  user_id: text().notNull(),
  name: text().notNull(),
});

export const task = pgTable("task", {
  id: uuid().primaryKey().$defaultFn(() => crypto.randomUUID()),
  user_id: text().notNull(),
  title: text().notNull(),
  description: text(),
  status: text().notNull().$default(() => "pending"),
  completed: boolean().notNull().$default(() => false),
  completed_at: instant(),
  priority: text().notNull().$default(() => "medium"),
  category_id: uuid().references(() => category.id),
  tags: text().array().notNull().$default(() => []),
  due_date: instant(),
  position: doublePrecision().notNull().$default(() => 0),
  version: integer().notNull().$default(() => 1),
  created_at: instant().notNull().$defaultFn(() => new Date()),
  updated_at: instant().notNull().$defaultFn(() => new Date()),
});
