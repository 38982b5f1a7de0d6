// The whole API in one process.
import { serve } from "@hono/node-server";
import { and, desc, eq, getTableColumns, not, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { Hono } from "hono";
import { cors } from "hono/cors";
import pg from "pg";

import { category, task } from "./schema.js";
import { authenticate } from "./tokens.js";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 8 });
const db = drizzle(pool);
const publicTask = { ...getTableColumns(task), category: category.name };

const app = new Hono();
app.get("/health", (c) => c.json({ status: "ok" }));
app.use("/api/*", cors({ origin: process.env.CORS_ORIGINS.split(","), credentials: true }));
app.use("/api/*", authenticate);

const own = (c) => and(eq(task.id, c.req.param("id")), eq(task.user_id, c.get("userId")));
const select = () => db.select(publicTask).from(task).leftJoin(category, eq(category.id, task.category_id));
const answer = (c, [row]) => (row ? c.json(row) : c.json({ message: "Task not found" }, 404));

async function withCategory(row) {
  const id = row.category_id;
  const [found] = id ? await db.select().from(category).where(eq(category.id, id)) : [];
  return { ...row, category: found?.name ?? null };
}

app.get("/api/tasks", async (c) => {
  const { limit = "1000", offset = "0" } = c.req.query();
  const rows = await select()
    .where(eq(task.user_id, c.get("userId")))
    .orderBy(desc(task.created_at))
    .limit(Number(limit))
    .offset(Number(offset));
  return c.json(rows);
});

app.post("/api/tasks", async (c) => {
  const { title, description, priority, category_id, tags, due_date } = await c.req.json();
  if (typeof title !== "string" || title.length < 1 || title.length > 200) {
    return c.json({ message: "title must have 1 to 200 characters" }, 422);
  }
  const values = {
    ...{ title, description, priority, category_id, tags, user_id: c.get("userId") },
    due_date: due_date ? new Date(due_date) : null,
  };
  const [row] = await db.insert(task).values(values).returning();
  return c.json(await withCategory(row), 201);
});

app.get("/api/tasks/:id", async (c) => answer(c, await select().where(own(c))));

app.patch("/api/tasks/:id/complete", async (c) => {
  const changed = await db
    .update(task)
    .set({
      completed: not(task.completed),
      status: sql`CASE WHEN ${task.completed} THEN 'pending' ELSE 'completed' END`,
      completed_at: sql`CASE WHEN ${task.completed} THEN NULL ELSE now() END`,
      version: sql`${task.version} + 1`,
      updated_at: new Date(),
    })
    .where(own(c))
    .returning();
  return answer(c, await Promise.all(changed.map(withCategory)));
});

const port = Number(process.env.PORT);
const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port });
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => server.close(() => pool.end()));
}
