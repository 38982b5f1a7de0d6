SELECT CAST(row_to_json(wire) AS TEXT) AS json 
FROM (SELECT page.id AS id, page.user_id AS user_id, page.title AS title, page.description AS description, page.status AS status, page.status = 'completed' AS completed, to_char(timezone('UTC', page.completed_at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS completed_at, page.priority AS priority, page.category AS category, page.category_id AS category_id, page.tags AS tags, page.due_date AS due_date, page.position AS position, page.version AS version, to_char(timezone('UTC', page.created_at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at, to_char(timezone('UTC', page.updated_at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS updated_at 
FROM (SELECT task.user_id AS user_id, task.id AS id, task.title AS title, task.title_key AS title_key, task.description AS description, task.description_key AS description_key, task.status AS status, task.completed_at AS completed_at, task.priority AS priority, task.category_id AS category_id, task.tags AS tags, task.due_date AS due_date, task.due_at AS due_at, task.position AS position, task.version AS version, task.created_at AS created_at, task.updated_at AS updated_at, task.deleted_at AS deleted_at, category.name AS category 
FROM task LEFT OUTER JOIN category ON category.user_id = task.user_id AND category.id = task.category_id 
WHERE task.user_id = $1::VARCHAR AND task.deleted_at IS NULL ORDER BY task.created_at DESC, task.id DESC 
 LIMIT $2::INTEGER OFFSET $3::INTEGER) AS page) AS wire

WITH made AS 
(INSERT INTO task (user_id, id, title, title_key, description, description_key, status, completed_at, priority, category_id, tags, due_date, due_at, position, version, created_at, updated_at, deleted_at) VALUES ($1::VARCHAR, $2::UUID, $3::VARCHAR, $4::VARCHAR, $5::VARCHAR, $6::VARCHAR, $7::VARCHAR, $8::TIMESTAMP WITH TIME ZONE, $9::VARCHAR, NULL, $10::TEXT[], $11::VARCHAR, $12::TIMESTAMP WITH TIME ZONE, $13::FLOAT, $14::INTEGER, $15::TIMESTAMP WITH TIME ZONE, $16::TIMESTAMP WITH TIME ZONE, NULL) RETURNING task.user_id, task.id, task.title, task.title_key, task.description, task.description_key, task.status, task.completed_at, task.priority, task.category_id, task.tags, task.due_date, task.due_at, task.position, task.version, task.created_at, task.updated_at, task.deleted_at)
 SELECT CAST(row_to_json(wire) AS TEXT) AS json, wire.version 
FROM (SELECT made.id AS id, made.user_id AS user_id, made.title AS title, made.description AS description, made.status AS status, made.status = 'completed' AS completed, to_char(timezone('UTC', made.completed_at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS completed_at, made.priority AS priority, category.name AS category, made.category_id AS category_id, made.tags AS tags, made.due_date AS due_date, made.position AS position, made.version AS version, to_char(timezone('UTC', made.created_at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at, to_char(timezone('UTC', made.updated_at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS updated_at 
FROM made LEFT OUTER JOIN category ON category.user_id = made.user_id AND category.id = made.category_id) AS wire

SELECT CAST(row_to_json(wire) AS TEXT) AS json, wire.version 
FROM (SELECT found.id AS id, found.user_id AS user_id, found.title AS title, found.description AS description, found.status AS status, found.status = 'completed' AS completed, to_char(timezone('UTC', found.completed_at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS completed_at, found.priority AS priority, category.name AS category, found.category_id AS category_id, found.tags AS tags, found.due_date AS due_date, found.position AS position, found.version AS version, to_char(timezone('UTC', found.created_at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at, to_char(timezone('UTC', found.updated_at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS updated_at 
FROM (SELECT task.user_id AS user_id, task.id AS id, task.title AS title, task.title_key AS title_key, task.description AS description, task.description_key AS description_key, task.status AS status, task.completed_at AS completed_at, task.priority AS priority, task.category_id AS category_id, task.tags AS tags, task.due_date AS due_date, task.due_at AS due_at, task.position AS position, task.version AS version, task.created_at AS created_at, task.updated_at AS updated_at, task.deleted_at AS deleted_at 
FROM task 
WHERE task.id = $1::UUID AND task.user_id = $2::VARCHAR AND task.deleted_at IS NULL) AS found LEFT OUTER JOIN category ON category.user_id = found.user_id AND category.id = found.category_id) AS wire

WITH per_category AS 
(SELECT task.category_id AS category_id, count(*) AS total, count(*) FILTER (WHERE task.status = 'pending') AS pending, count(*) FILTER (WHERE task.status = 'in_progress') AS in_progress, count(*) FILTER (WHERE task.status = 'completed') AS completed, count(*) FILTER (WHERE task.status != 'completed' AND task.due_at < $1::TIMESTAMP WITH TIME ZONE) AS overdue 
FROM task 
WHERE task.user_id = $2::VARCHAR AND task.deleted_at IS NULL GROUP BY task.category_id)
 SELECT CAST(row_to_json(wire) AS TEXT) AS json 
FROM (SELECT coalesce(sum(per_category.total), 0) AS total, coalesce(sum(per_category.pending), 0) AS pending, coalesce(sum(per_category.in_progress), 0) AS in_progress, coalesce(sum(per_category.completed), 0) AS completed, coalesce(sum(per_category.overdue), 0) AS overdue, (SELECT coalesce(json_agg(counted), json_build_array()) AS coalesce_1 
FROM (SELECT names.name AS category, per_category.category_id AS category_id, per_category.total AS total, per_category.completed AS completed 
FROM per_category LEFT OUTER JOIN (SELECT category.name AS name, category.name_key AS name_key, category.id AS id 
FROM category 
WHERE category.user_id = $2::VARCHAR) AS names ON names.id = per_category.category_id ORDER BY names.name_key ASC) AS counted) AS by_category 
FROM per_category) AS wire
