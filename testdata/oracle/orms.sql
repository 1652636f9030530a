-- What ORMs send, for the clinic's tables.

-- Django.
SELECT "patients"."id", "patients"."name", "patients"."born" FROM "patients" WHERE "patients"."id" = 3 LIMIT 21;
SELECT COUNT(*) AS "__count" FROM "patients";
SELECT COUNT(*) FROM (SELECT DISTINCT "patients"."country" AS "col1" FROM "patients") "subquery";
SELECT 1 AS "a" FROM "patients" WHERE "patients"."id" = 3 LIMIT 1;
SELECT "patients"."country" AS "country", COUNT("patients"."id") AS "n" FROM "patients" GROUP BY 1 HAVING COUNT("patients"."id") > 1 ORDER BY "n" DESC, 1;
SELECT "appointments"."id", "patients"."name" FROM "appointments" INNER JOIN "patients" ON ("appointments"."patient_id" = "patients"."id") WHERE "patients"."name" LIKE 'A%' ORDER BY "appointments"."id" ASC;
SELECT "appointments"."id", T3."name" FROM "appointments" LEFT OUTER JOIN "practitioners" T3 ON ("appointments"."practitioner_id" = T3."id") ORDER BY "appointments"."id" ASC LIMIT 5;
SELECT "patients"."id", EXISTS(SELECT 1 AS "a" FROM "notes" U0 WHERE U0."patient_id" = ("patients"."id") LIMIT 1) AS "noted" FROM "patients" ORDER BY 1;
SELECT "patients"."id" FROM "patients" WHERE NOT ("patients"."id" IN (SELECT U1."patient_id" FROM "notes" U1 WHERE U1."pinned")) ORDER BY "patients"."id" ASC;
SELECT "invoices"."id", SUM("invoices"."net") OVER (PARTITION BY "invoices"."patient_id" ORDER BY "invoices"."id") AS "running" FROM "invoices" ORDER BY 1;
--? 200, 'New', 0
INSERT INTO "patients" ("id", "name", "balance") VALUES ($1, $2, $3) RETURNING "patients"."id";
INSERT INTO "patients" ("id", "name") VALUES (201, 'a'), (202, 'b'), (203, 'c') ON CONFLICT DO NOTHING RETURNING "patients"."id";
INSERT INTO "patients" ("id", "name") VALUES (1, 'a'), (202, 'b') ON CONFLICT("tenant_id", "id") DO UPDATE SET "name" = EXCLUDED."name" RETURNING "patients"."id";
--? 'renamed', 4
UPDATE "patients" SET "name" = $1 WHERE "patients"."id" = $2;
UPDATE "patients" SET "balance" = CASE WHEN ("patients"."id" = 1) THEN 10 WHEN ("patients"."id" = 2) THEN 20 ELSE NULL END::numeric(12, 2) WHERE "patients"."id" IN (1, 2) RETURNING id, balance;
UPDATE "patients" SET "tenant_id" = 1, "name" = 'saved whole', "born" = NULL WHERE ("patients"."tenant_id" = 1 AND "patients"."id" = 4);
DELETE FROM "notes" WHERE "notes"."patient_id" IN (1, 2, 3);
DELETE FROM "notes" WHERE "notes"."id" IN (SELECT U0."id" FROM "notes" U0 INNER JOIN "patients" U1 ON (U0."patient_id" = U1."id") WHERE U1."country" = 'DE');
SELECT "patients"."id" FROM "patients" WHERE "patients"."id" = 3 LIMIT 21 FOR UPDATE OF "patients";

-- ActiveRecord.
SELECT "patients".* FROM "patients" ORDER BY "patients"."id" ASC LIMIT 1;
--? 3, 1
SELECT "patients".* FROM "patients" WHERE "patients"."id" = $1 LIMIT $2;
SELECT 1 AS one FROM "patients" WHERE "patients"."email" = 'p1@example.org' LIMIT 1;
SELECT COUNT(*) FROM "patients" WHERE "patients"."born" IS NOT NULL;
SELECT COUNT(DISTINCT "patients"."country") FROM "patients" LEFT OUTER JOIN "notes" ON "notes"."patient_id" = "patients"."id";
SELECT "patients"."id" AS t0_r0, "patients"."name" AS t0_r1, "notes"."body" AS t1_r0 FROM "patients" LEFT OUTER JOIN "notes" ON "notes"."patient_id" = "patients"."id" WHERE "patients"."id" IN (1, 2) ORDER BY 1, 3;
SELECT DISTINCT "patients"."id", "patients"."id" AS alias_0 FROM "patients" INNER JOIN "appointments" ON "appointments"."patient_id" = "patients"."id" ORDER BY "patients"."id" ASC LIMIT 3;
SELECT "patients"."country" AS patients_country, COUNT(*) AS count_all FROM "patients" GROUP BY "patients"."country" ORDER BY 1;
--? 210, 'New', '2026-01-01'
INSERT INTO "patients" ("id", "name", "born") VALUES ($1, $2, $3) RETURNING "tenant_id", "id";
INSERT INTO "settings" ("name","value") VALUES ('language','it'), ('motto','x') ON CONFLICT ("tenant_id","name") DO UPDATE SET "value"=excluded."value" RETURNING "name";
--? 'x', 1
UPDATE "patients" SET "name" = $1 WHERE "patients"."id" = $2;
UPDATE "invoices" SET "revision" = COALESCE("revision", 0) + 1 WHERE "invoices"."id" = 1001;
DELETE FROM "documents" WHERE "documents"."id" = 1;
SELECT "appointments".* FROM "appointments" WHERE "appointments"."status" = 'booked' ORDER BY "appointments"."starts" ASC, "appointments"."id" ASC LIMIT 1 FOR UPDATE SKIP LOCKED;

-- Hibernate.
--? 3
select p1_0.id,p1_0.balance,p1_0.born,p1_0.name from patients p1_0 where p1_0.id=$1;
--? 2, 3
select p1_0.id,p1_0.name from patients p1_0 order by p1_0.id offset $1 rows fetch first $2 rows only;
select a1_0.id,p1_0.id,p1_0.name from appointments a1_0 left join patients p1_0 on p1_0.id=a1_0.patient_id where a1_0.status='done' order by 1;
select count(p1_0.id) from patients p1_0;
select n1_0.patient_id,n1_0.body from notes n1_0 where n1_0.patient_id = any (array[1,2]) order by n1_0.body;
select p1_0.id from patients p1_0 where exists(select 1 from notes n1_0 where p1_0.id=n1_0.patient_id) order by p1_0.id;
--? 0, 'x', 220
insert into patients (balance,name,id) values ($1,$2,$3);
--? 12, 'x', 3
update patients set balance=$1,name=$2 where id=$3;
update invoices set paid=true where id=1002 and revision=0;
--? 5
delete from documents where id=$1;
select p1_0.id from patients p1_0 where p1_0.id=1 for no key update;

-- Sequelize.
SELECT "id", "name" FROM "patients" AS "Patient" WHERE "Patient"."id" = 3;
SELECT count(*) AS "count" FROM "patients" AS "Patient" WHERE "Patient"."country" = 'DE';
SELECT "Patient".*, "notes"."body" AS "notes.body" FROM (SELECT "Patient"."id", "Patient"."name" FROM "patients" AS "Patient" WHERE ( SELECT "patient_id" FROM "notes" AS "notes" WHERE ("notes"."pinned" = true AND "notes"."patient_id" = "Patient"."id") LIMIT 1 ) IS NOT NULL ORDER BY "Patient"."id" LIMIT 10) AS "Patient" INNER JOIN "notes" AS "notes" ON "Patient"."id" = "notes"."patient_id" AND "notes"."pinned" = true ORDER BY "Patient"."id", 3;
--? 230, 'x'
INSERT INTO "patients" ("id","name") VALUES ($1,$2) RETURNING "tenant_id","id","name";
INSERT INTO "documents" ("id","title") VALUES (50,'a'),(51,'b') RETURNING "id","title";
UPDATE "patients" SET "name"='x' WHERE "id" = 1 RETURNING *;
SELECT "Patient"."id", COUNT("appointments"."id") AS "n" FROM "patients" AS "Patient" LEFT OUTER JOIN "appointments" AS "appointments" ON "Patient"."id" = "appointments"."patient_id" GROUP BY "Patient"."id" ORDER BY 1;

-- Prisma.
--? 3, 1, 0
SELECT "public"."patients"."id", "public"."patients"."name" FROM "public"."patients" WHERE ("public"."patients"."id" = $1 AND 1=1) LIMIT $2 OFFSET $3;
SELECT "public"."notes"."id"::text, "public"."notes"."patient_id" FROM "public"."notes" WHERE "public"."notes"."patient_id" IN (1,2,3) ORDER BY 1;
SELECT COUNT(*) FROM (SELECT "public"."patients"."id" FROM "public"."patients" WHERE 1=1 OFFSET 0) AS "sub";
SELECT "t1"."id", "t1"."name" FROM "public"."patients" AS "t1" WHERE ("t1"."id") NOT IN (SELECT "t0"."patient_id" FROM "public"."notes" AS "t0" WHERE ("t0"."pinned" = true AND "t0"."patient_id" IS NOT NULL)) ORDER BY 1;
SELECT "t1"."id", "aggr_selection_0_notes"."_aggr_count_notes" FROM "public"."patients" AS "t1" LEFT JOIN (SELECT "public"."notes"."patient_id", COUNT(*) AS "_aggr_count_notes" FROM "public"."notes" WHERE 1=1 GROUP BY "public"."notes"."patient_id") AS "aggr_selection_0_notes" ON ("t1"."id" = "aggr_selection_0_notes"."patient_id") ORDER BY 1;
SELECT "t1"."id", "t1_notes"."__prisma_data__" AS "notes" FROM "public"."patients" AS "t1" LEFT JOIN LATERAL (SELECT COALESCE(JSONB_AGG("__prisma_data__" ORDER BY "__prisma_data__"), '[]') AS "__prisma_data__" FROM (SELECT JSONB_BUILD_OBJECT('body', "t2"."body") AS "__prisma_data__" FROM (SELECT "t3".* FROM "public"."notes" AS "t3" WHERE "t1"."id" = "t3"."patient_id") AS "t2") AS "t4") AS "t1_notes" ON TRUE ORDER BY 1;
--? 240, 'x'
INSERT INTO "public"."patients" ("id","name") VALUES ($1,$2) RETURNING "public"."patients"."id", "public"."patients"."name";
--? 'language', 'x'
INSERT INTO "public"."settings" ("name","value") VALUES ($1,$2) ON CONFLICT ("tenant_id","name") DO UPDATE SET "value" = $2 WHERE ("public"."settings"."name" = $1 AND 1=1) RETURNING "public"."settings"."value";
--? 'x', 3
UPDATE "public"."patients" SET "name" = $1 WHERE ("public"."patients"."id" = $2 AND 1=1) RETURNING "public"."patients"."id";
--? 3
DELETE FROM "public"."documents" WHERE ("public"."documents"."id" IN ($1) AND 1=1);

-- SQLAlchemy.
SELECT patients.id AS patients_id, patients.name AS patients_name FROM patients WHERE patients.id = 3;
SELECT anon_1.patients_id, notes_1.body FROM (SELECT patients.id AS patients_id FROM patients ORDER BY patients.id LIMIT 3) AS anon_1 LEFT OUTER JOIN notes AS notes_1 ON anon_1.patients_id = notes_1.patient_id ORDER BY anon_1.patients_id, notes_1.body;
--? 3
SELECT patients.id, patients.name FROM patients WHERE patients.id = $1::INTEGER;
--? 1, 'A%'
SELECT patients.name FROM patients WHERE patients.id > $1::INTEGER AND (patients.name LIKE $2::VARCHAR) ORDER BY patients.id;
SELECT count(*) AS count_1 FROM (SELECT patients.id AS patients_id FROM patients WHERE patients.country IN ('DE', 'AT')) AS anon_1;
INSERT INTO practitioners (id, name) SELECT p0::BIGINT, p1::VARCHAR FROM (VALUES (7001, 'a', 0), (7002, 'b', 1)) AS imp_sen(p0, p1, sen_counter) ORDER BY sen_counter RETURNING practitioners.id, practitioners.id AS id__1;
--? 7001, 'a', 7002, 'b'
INSERT INTO practitioners (id, name) VALUES ($1::BIGINT, $2::VARCHAR), ($3::BIGINT, $4::VARCHAR) RETURNING practitioners.id;
--? 'x', 3
UPDATE patients SET name=$1::VARCHAR WHERE patients.id = $2::INTEGER;
DELETE FROM notes WHERE notes.patient_id = 3;
SELECT EXISTS (SELECT * FROM patients WHERE patients.id = 3) AS anon_1;
WITH RECURSIVE chain(id, supervisor) AS (SELECT practitioners.id AS id, practitioners.supervisor AS supervisor FROM practitioners WHERE practitioners.id = 1004 UNION ALL SELECT p.id AS id, p.supervisor AS supervisor FROM practitioners AS p, chain AS c WHERE p.id = c.supervisor) SELECT chain.id FROM chain ORDER BY 1;

-- Ecto.
--? 3
SELECT p0."id", p0."name" FROM "patients" AS p0 WHERE (p0."id" = $1);
--? {1,2,3}
SELECT n0."patient_id", n0."body" FROM "notes" AS n0 WHERE (n0."patient_id" = ANY($1)) ORDER BY n0."patient_id", n0."body";
SELECT TRUE FROM "patients" AS p0 WHERE (p0."id" = 3) LIMIT 1;
SELECT count(p0."id") FROM "patients" AS p0 INNER JOIN "notes" AS n1 ON n1."patient_id" = p0."id";
--? 250, 'x'
INSERT INTO "patients" ("id","name") VALUES ($1,$2) RETURNING "id";
--? 'a', '1', 'b', '2'
INSERT INTO "settings" AS s0 ("name","value") VALUES ($1,$2),($3,$4) ON CONFLICT ("tenant_id","name") DO UPDATE SET "value" = EXCLUDED."value" RETURNING "name";
--? 'x', 3
UPDATE "patients" SET "name" = $1 WHERE "id" = $2;
--? 1
UPDATE "patients" AS p0 SET "balance" = p0."balance" + $1 FROM "notes" AS n1 WHERE (n1."patient_id" = p0."id") AND n1."pinned" RETURNING p0."id";
DELETE FROM "notes" AS n0 USING "patients" AS p1 WHERE (p1."id" = n0."patient_id") AND (p1."country" = 'DE');
WITH "q" AS (SELECT sa0."id" AS "id" FROM "appointments" AS sa0 WHERE (sa0."status" = 'booked') ORDER BY sa0."id" LIMIT 2 FOR UPDATE SKIP LOCKED) UPDATE "appointments" AS a0 SET "status" = 'arrived' FROM "q" AS f1 WHERE (a0."id" = f1."id") RETURNING a0."id";

-- GORM.
SELECT * FROM "patients" WHERE "patients"."id" = 3 ORDER BY "patients"."id" LIMIT 1;
SELECT count(*) FROM "patients" WHERE country = 'DE';
SELECT "appointments"."id","Patient"."name" AS "Patient__name" FROM "appointments" LEFT JOIN "patients" "Patient" ON "appointments"."patient_id" = "Patient"."id" ORDER BY 1 LIMIT 5;
--? 'x', 260
INSERT INTO "patients" ("name","id") VALUES ($1,$2) RETURNING "tenant_id";
INSERT INTO "settings" ("name","value") VALUES ('language','x') ON CONFLICT ("tenant_id","name") DO UPDATE SET "value"="excluded"."value";
--? 'x', 1, 3
UPDATE "patients" SET "name"=$1,"balance"=$2 WHERE "id" = $3;
DELETE FROM "documents" WHERE "documents"."id" IN (1,2,3);
SELECT * FROM "patients" WHERE "id" = 1 FOR UPDATE;

-- Queues and pagination.
UPDATE appointments SET status = 'arrived' WHERE id IN (SELECT id FROM appointments WHERE status = 'booked' ORDER BY starts, id FOR UPDATE SKIP LOCKED LIMIT 3) RETURNING id, starts;
DELETE FROM documents WHERE id = (SELECT id FROM documents ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING *;
SELECT id, starts FROM appointments WHERE (starts, id) > ('2026-01-08', 10) ORDER BY starts, id LIMIT 5;
SELECT *, count(*) OVER () AS total FROM patients ORDER BY id LIMIT 3 OFFSET 3;
