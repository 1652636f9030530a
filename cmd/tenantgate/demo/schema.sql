-- Two practices in one database: a table of tenants, tables with their rows, a
-- table that all share. Both number their patients from 1.

CREATE TABLE countries (
    code char(2) PRIMARY KEY,
    name text NOT NULL
);
INSERT INTO countries VALUES ('AT', 'Austria'), ('CH', 'Switzerland'), ('DE', 'Germany');

CREATE TABLE practices (
    id   int PRIMARY KEY,
    name text NOT NULL
);
INSERT INTO practices VALUES (1, 'acme'), (2, 'globex');

CREATE TABLE patients (
    tenant_id int NOT NULL REFERENCES practices,
    id        int NOT NULL,
    name      text NOT NULL,
    country   char(2) REFERENCES countries,
    PRIMARY KEY (tenant_id, id)
);
INSERT INTO patients VALUES
    (1, 1, 'Ada', 'DE'), (1, 2, 'Ben', 'AT'), (1, 3, 'Cleo', 'DE'),
    (2, 1, 'Xenia', 'CH'), (2, 2, 'Yuri', 'DE'), (2, 3, 'Zoe', 'CH'), (2, 4, 'Zeno', NULL);

CREATE TABLE appointments (
    tenant_id int NOT NULL,
    id        int NOT NULL,
    patient   int NOT NULL,
    day       date NOT NULL,
    fee       numeric(8,2) NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, patient) REFERENCES patients (tenant_id, id)
);
INSERT INTO appointments VALUES
    (1, 1, 1, '2026-03-02', 80), (1, 2, 1, '2026-03-09', 40), (1, 3, 2, '2026-03-03', 120),
    (1, 4, 3, '2026-03-05', 60),
    (2, 1, 1, '2026-03-02', 900), (2, 2, 2, '2026-03-04', 500), (2, 3, 3, '2026-03-04', 700),
    (2, 4, 3, '2026-03-11', 700), (2, 5, 4, '2026-03-12', 300);
