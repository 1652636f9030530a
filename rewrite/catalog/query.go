package catalog

// The catalog is read by one statement, so that all of it shows one moment.
// Each row is a section's number, a number to sort by, and a JSON array.
//
// Whatever the search path is and whatever users have defined, the statement
// means the same: every name in it is qualified, operators too. IN, CASE with
// an operand, NULLIF, LIKE, BETWEEN and IS DISTINCT FROM look operators up by
// the search path and are not used. pg_get_viewdef looks an operator up within
// the server: it is called only where pg_catalog comes first. So are defaults of
// tenant columns read: a name without a schema is PostgreSQL's own only then.
// pg_get_viewdef writes constants by the session's settings, and is called only
// where any session reads them back as what they were.

// Sections of the statement's result; those from sectionRole to
// sectionForeignKey, sectionBuiltin and sectionSeal, with Config.Inspect alone.
const (
	sectionServer       = "0"
	sectionSchema       = "1"
	sectionRelation     = "2"
	sectionFunction     = "3"
	sectionOperator     = "4"
	sectionType         = "5"
	sectionBuiltinType  = "6"
	sectionOtherColumns = "7"
	sectionRole         = "8"
	sectionDatabase     = "9"
	sectionSchemaGrants = "10"
	sectionDetail       = "11"
	sectionDefault      = "12"
	sectionCollation    = "13"
	sectionIndex        = "14"
	sectionPolicy       = "15"
	sectionForeignKey   = "16"
	sectionView         = "17"
	sectionBuiltin      = "18"
	sectionSequence     = "19"
	sectionSeal         = "20"
	sectionCast         = "21"
	sectionUnique       = "22"
	sectionKeyDefault   = "23"
)

// catalogQuery reads what the proxy needs. OIDs below 16384 are those of
// initdb: whatever a superuser added to pg_catalog later is a user's.
const catalogQuery = `
WITH RECURSIVE schemas AS (
	SELECT n.oid, n.nspname,
		n.nspname OPERATOR(pg_catalog.=) 'pg_catalog' OR n.nspname OPERATOR(pg_catalog.=) 'information_schema' AS system
	FROM pg_catalog.pg_namespace AS n
	WHERE n.nspname OPERATOR(pg_catalog.<>) 'pg_toast'
		AND NOT pg_catalog.starts_with(n.nspname::pg_catalog.text, 'pg_temp_'::pg_catalog.text)
		AND NOT pg_catalog.starts_with(n.nspname::pg_catalog.text, 'pg_toast_temp_'::pg_catalog.text)
), attributes AS (
	SELECT a.attrelid, pg_catalog.json_agg(a.attname ORDER BY a.attnum) AS names,
		pg_catalog.json_agg(t.oid::pg_catalog.int8 ORDER BY a.attnum) AS types,
		pg_catalog.json_agg(CASE WHEN t.typdelim OPERATOR(pg_catalog.=) ','::pg_catalog."char" THEN t.typarray::pg_catalog.int8 ELSE 0 END
			ORDER BY a.attnum) AS arrays,
		pg_catalog.json_agg(tn.nspname ORDER BY a.attnum) AS typeschemas,
		pg_catalog.json_agg(t.typname ORDER BY a.attnum) AS typenames,
		pg_catalog.json_agg(pg_catalog.concat(
			CASE WHEN a.attnotnull THEN 'n' END,
			CASE WHEN a.atthasdef AND a.attgenerated OPERATOR(pg_catalog.=) '' THEN 'd' END,
			CASE WHEN a.attgenerated OPERATOR(pg_catalog.<>) '' THEN 'g' END,
			CASE WHEN a.attidentity OPERATOR(pg_catalog.<>) '' THEN 'i' END,
			CASE WHEN a.attcollation OPERATOR(pg_catalog.<>) 0 AND a.attcollation OPERATOR(pg_catalog.<>) 100
				THEN 'c' END) ORDER BY a.attnum) AS flags
	FROM pg_catalog.pg_attribute AS a
	JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) a.atttypid
	JOIN pg_catalog.pg_namespace AS tn ON tn.oid OPERATOR(pg_catalog.=) t.typnamespace
	JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) a.attrelid
	JOIN schemas AS s ON s.oid OPERATOR(pg_catalog.=) c.relnamespace
	WHERE a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped AND NOT s.system
		AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f,S}'::pg_catalog."char"[])
	GROUP BY a.attrelid
), parents AS (
	SELECT i.inhrelid, pg_catalog.json_agg(i.inhparent::pg_catalog.int8 ORDER BY i.inhseqno) AS list
	FROM pg_catalog.pg_inherits AS i
	GROUP BY i.inhrelid
), made (typ, func, context) AS (
	SELECT e.typ, k.castfunc, k.castcontext
	FROM pg_catalog.pg_cast AS k
	JOIN pg_catalog.pg_proc AS f ON f.oid OPERATOR(pg_catalog.=) k.castfunc
	JOIN pg_catalog.pg_language AS l ON l.oid OPERATOR(pg_catalog.=) f.prolang
	CROSS JOIN LATERAL (VALUES (k.castsource), (k.casttarget)) AS e (typ)
	WHERE e.typ OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND f.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
		AND l.lanname OPERATOR(pg_catalog.<>) ALL ('{internal,c}'::pg_catalog.name[])
	UNION
	SELECT o.typ, m.func, m.context
	FROM made AS m
	CROSS JOIN LATERAL (
		SELECT t.oid FROM pg_catalog.pg_type AS t
		WHERE m.typ OPERATOR(pg_catalog.=) ANY (ARRAY[t.typelem, t.typbasetype])
		UNION ALL
		SELECT c.reltype FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
		WHERE a.atttypid OPERATOR(pg_catalog.=) m.typ AND c.reltype OPERATOR(pg_catalog.<>) 0::pg_catalog.oid
		UNION ALL
		SELECT pg_catalog.unnest(ARRAY[r.rngtypid, r.rngmultitypid]) FROM pg_catalog.pg_range AS r
		WHERE r.rngsubtype OPERATOR(pg_catalog.=) m.typ
	) AS o (typ)
)
SELECT 0, 0::pg_catalog.int8, pg_catalog.json_build_array(
		pg_catalog.current_setting('server_version_num')::pg_catalog.int4,
		pg_catalog.current_setting('server_encoding'), pg_catalog.current_setting('client_encoding'),
		pg_catalog.current_setting('max_identifier_length')::pg_catalog.int4, pg_catalog.current_setting('search_path'),
		r.rolname, r.rolsuper, r.rolbypassrls,
		pg_catalog.has_function_privilege('pg_catalog.pg_relation_size(pg_catalog.regclass,pg_catalog.text)', 'EXECUTE'))::pg_catalog.text
	FROM pg_catalog.pg_roles AS r
	WHERE r.rolname OPERATOR(pg_catalog.=) current_user
UNION ALL
SELECT 1, s.oid::pg_catalog.int8, pg_catalog.json_build_array(
		s.nspname, pg_catalog.has_schema_privilege(s.oid, 'USAGE'::pg_catalog.text))::pg_catalog.text
	FROM schemas AS s
UNION ALL
SELECT 2, c.oid::pg_catalog.int8, pg_catalog.json_build_array(
		c.oid::pg_catalog.int8, s.nspname, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity,
		c.relowner OPERATOR(pg_catalog.=) r.oid OR NOT r.rolsuper AND pg_catalog.pg_has_role(c.relowner, 'USAGE'::pg_catalog.text),
		s.system, p.list, a.names, a.types, a.arrays, a.typeschemas, a.typenames, a.flags,
		c.relkind OPERATOR(pg_catalog.=) 'r' AND NOT c.relispartition AND NOT EXISTS (
		SELECT FROM pg_catalog.pg_trigger AS t
		WHERE t.tgrelid OPERATOR(pg_catalog.=) c.oid AND (NOT t.tgisinternal OR t.tgconstrrelid OPERATOR(pg_catalog.=) c.oid)))::pg_catalog.text
	FROM pg_catalog.pg_class AS c
	JOIN schemas AS s ON s.oid OPERATOR(pg_catalog.=) c.relnamespace
	JOIN pg_catalog.pg_roles AS r ON r.rolname OPERATOR(pg_catalog.=) current_user
	LEFT JOIN parents AS p ON p.inhrelid OPERATOR(pg_catalog.=) c.oid
	LEFT JOIN attributes AS a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
	WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f,S}'::pg_catalog."char"[])
UNION ALL
SELECT 3, p.oid::pg_catalog.int8, pg_catalog.json_build_array(
		s.nspname, p.proname, p.pronargs, p.pronargdefaults, p.provariadic OPERATOR(pg_catalog.<>) 0::pg_catalog.oid,
		p.prokind, p.provolatile, (
		SELECT pg_catalog.json_agg(DISTINCT a.typ::pg_catalog.int8)
		FROM pg_catalog.unnest(p.prorettype OPERATOR(pg_catalog.||) COALESCE(p.proallargtypes, p.proargtypes::pg_catalog.oid[])) AS a (typ)
		WHERE a.typ OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid))::pg_catalog.text
	FROM pg_catalog.pg_proc AS p
	JOIN schemas AS s ON s.oid OPERATOR(pg_catalog.=) p.pronamespace
	WHERE NOT s.system OR p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
UNION ALL
SELECT 4, o.oid::pg_catalog.int8, pg_catalog.json_build_array(s.nspname, o.oprname)::pg_catalog.text
	FROM pg_catalog.pg_operator AS o
	JOIN schemas AS s ON s.oid OPERATOR(pg_catalog.=) o.oprnamespace
	WHERE NOT s.system OR o.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
UNION ALL
SELECT 5, t.oid::pg_catalog.int8, pg_catalog.json_build_array(
		t.oid::pg_catalog.int8, s.nspname, t.typname, t.typtype, b.oid::pg_catalog.int8, bn.nspname, b.typname)::pg_catalog.text
	FROM pg_catalog.pg_type AS t
	JOIN schemas AS s ON s.oid OPERATOR(pg_catalog.=) t.typnamespace
	LEFT JOIN pg_catalog.pg_type AS b ON b.oid OPERATOR(pg_catalog.=) t.typbasetype
	LEFT JOIN pg_catalog.pg_namespace AS bn ON bn.oid OPERATOR(pg_catalog.=) b.typnamespace
	WHERE (NOT s.system OR t.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid)
		AND t.typtype OPERATOR(pg_catalog.<>) 'p' AND t.typisdefined
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_type AS e WHERE e.typarray OPERATOR(pg_catalog.=) t.oid)
UNION ALL
SELECT 6, t.oid::pg_catalog.int8, pg_catalog.json_build_array(t.typname)::pg_catalog.text
	FROM pg_catalog.pg_type AS t
	JOIN schemas AS s ON s.oid OPERATOR(pg_catalog.=) t.typnamespace
	WHERE s.nspname OPERATOR(pg_catalog.=) 'pg_catalog' AND t.oid OPERATOR(pg_catalog.<) 16384::pg_catalog.oid
UNION ALL
SELECT 7, 0::pg_catalog.int8, pg_catalog.json_agg(DISTINCT a.attname ORDER BY a.attname)::pg_catalog.text
	FROM pg_catalog.pg_attribute AS a
	JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) a.attrelid
	JOIN schemas AS s ON s.oid OPERATOR(pg_catalog.=) c.relnamespace
	WHERE a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
		AND (s.system AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f}'::pg_catalog."char"[])
			OR c.relkind OPERATOR(pg_catalog.=) 'c')
UNION ALL
SELECT 21, m.typ::pg_catalog.int8, pg_catalog.json_build_array(
		m.typ::pg_catalog.int8, s.nspname, t.typname, fs.nspname, f.proname, m.context)::pg_catalog.text
	FROM made AS m
	JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) m.typ
	JOIN schemas AS s ON s.oid OPERATOR(pg_catalog.=) t.typnamespace
	JOIN pg_catalog.pg_proc AS f ON f.oid OPERATOR(pg_catalog.=) m.func
	JOIN schemas AS fs ON fs.oid OPERATOR(pg_catalog.=) f.pronamespace
UNION ALL
SELECT 17, c.oid::pg_catalog.int8, pg_catalog.json_build_array(c.oid::pg_catalog.int8,
		CASE WHEN (pg_catalog.current_schemas(true))[1] OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.name
				AND pg_catalog.starts_with(pg_catalog.current_setting('DateStyle'), 'ISO'::pg_catalog.text)
				AND pg_catalog.current_setting('IntervalStyle') OPERATOR(pg_catalog.=) 'postgres'::pg_catalog.text
				AND pg_catalog.current_setting('extra_float_digits')::pg_catalog.int4 OPERATOR(pg_catalog.>) 0
				AND pg_catalog.current_setting('standard_conforming_strings')::pg_catalog.bool
			THEN pg_catalog.pg_get_viewdef(c.oid) END,
		(SELECT o.option_value::pg_catalog.bool FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
			WHERE o.option_name OPERATOR(pg_catalog.=) 'security_barrier'::pg_catalog.text),
		(SELECT o.option_value::pg_catalog.bool FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
			WHERE o.option_name OPERATOR(pg_catalog.=) 'security_invoker'::pg_catalog.text),
		r.rolsuper OR r.rolbypassrls, (
		SELECT pg_catalog.json_agg(t.oid::pg_catalog.int8 ORDER BY t.oid) FROM pg_catalog.pg_class AS t
		WHERE t.relrowsecurity AND NOT t.relforcerowsecurity AND pg_catalog.pg_has_role(c.relowner, t.relowner, 'USAGE'::pg_catalog.text)
		))::pg_catalog.text
	FROM pg_catalog.pg_class AS c
	JOIN schemas AS s ON s.oid OPERATOR(pg_catalog.=) c.relnamespace
	JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) c.relowner
	WHERE c.relkind OPERATOR(pg_catalog.=) 'v' AND NOT s.system
UNION ALL
SELECT 19, c.oid::pg_catalog.int8, pg_catalog.json_build_array(c.oid::pg_catalog.int8, (
		SELECT pg_catalog.json_agg(d.refobjid::pg_catalog.int8 ORDER BY d.refobjid) FROM pg_catalog.pg_depend AS d
		WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) c.oid
			AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
			AND d.deptype OPERATOR(pg_catalog.=) ANY ('{a,i}'::pg_catalog."char"[])
		), (
		SELECT pg_catalog.json_agg(a.adrelid::pg_catalog.int8 ORDER BY a.adrelid) FROM pg_catalog.pg_depend AS d
		JOIN pg_catalog.pg_attrdef AS a ON a.oid OPERATOR(pg_catalog.=) d.objid
		WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.refobjid OPERATOR(pg_catalog.=) c.oid
			AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
		))::pg_catalog.text
	FROM pg_catalog.pg_class AS c
	JOIN schemas AS s ON s.oid OPERATOR(pg_catalog.=) c.relnamespace
	WHERE c.relkind OPERATOR(pg_catalog.=) 'S' AND NOT s.system
UNION ALL
SELECT 22, i.indexrelid::pg_catalog.int8, pg_catalog.json_build_array(i.indrelid::pg_catalog.int8, (
		SELECT pg_catalog.json_agg(a.attname ORDER BY k.position)
		FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k (attnum, position)
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid AND a.attnum OPERATOR(pg_catalog.=) k.attnum
		WHERE k.position OPERATOR(pg_catalog.<=) i.indnkeyatts))::pg_catalog.text
	FROM pg_catalog.pg_index AS i
	JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indrelid
	JOIN schemas AS s ON s.oid OPERATOR(pg_catalog.=) c.relnamespace
	WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
		AND c.relkind OPERATOR(pg_catalog.=) 'r'::pg_catalog."char" AND NOT c.relhassubclass AND NOT s.system
UNION ALL
SELECT 23, d.oid::pg_catalog.int8, pg_catalog.json_build_array(
		d.adrelid::pg_catalog.int8, a.attname, pg_catalog.pg_get_expr(d.adbin, d.adrelid))::pg_catalog.text
	FROM pg_catalog.pg_attrdef AS d
	JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) d.adrelid AND a.attnum OPERATOR(pg_catalog.=) d.adnum
	JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) d.adrelid
	JOIN schemas AS s ON s.oid OPERATOR(pg_catalog.=) c.relnamespace
	WHERE (pg_catalog.current_schemas(true))[1] OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.name
		AND NOT s.system AND c.relrowsecurity AND a.attgenerated OPERATOR(pg_catalog.=) ''
		AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'INSERT'::pg_catalog.text)
		AND EXISTS (
			SELECT FROM pg_catalog.pg_depend AS x
			WHERE x.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
				AND x.refobjid OPERATOR(pg_catalog.=) d.adrelid AND x.refobjsubid OPERATOR(pg_catalog.=) d.adnum
				AND x.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_policy'::pg_catalog.regclass)`

// inspectQuery continues catalogQuery with what Bootstrap needs.
const inspectQuery = `
UNION ALL
SELECT 8, r.oid::pg_catalog.int8, pg_catalog.json_build_array(
		r.oid::pg_catalog.int8, r.rolname, r.rolsuper, r.rolbypassrls, r.rolcanlogin, r.rolinherit,
		r.rolcreatedb, r.rolcreaterole, r.rolreplication)::pg_catalog.text
	FROM pg_catalog.pg_roles AS r
UNION ALL
SELECT 9, 0::pg_catalog.int8, pg_catalog.json_build_array(d.datname, (
		SELECT pg_catalog.json_agg(pg_catalog.json_build_array(x.grantee::pg_catalog.int8, x.privilege_type) ORDER BY x.grantee, x.privilege_type)
		FROM pg_catalog.aclexplode(COALESCE(d.datacl, pg_catalog.acldefault('d', d.datdba))) AS x))::pg_catalog.text
	FROM pg_catalog.pg_database AS d
	WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
UNION ALL
SELECT 10, n.oid::pg_catalog.int8, pg_catalog.json_build_array(n.nspname, (
		SELECT pg_catalog.json_agg(pg_catalog.json_build_array(x.grantee::pg_catalog.int8, x.privilege_type) ORDER BY x.grantee, x.privilege_type)
		FROM pg_catalog.aclexplode(COALESCE(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) AS x))::pg_catalog.text
	FROM pg_catalog.pg_namespace AS n
	JOIN schemas AS s ON s.oid OPERATOR(pg_catalog.=) n.oid
	WHERE NOT s.system
UNION ALL
SELECT 11, c.oid::pg_catalog.int8, pg_catalog.json_build_array(c.oid::pg_catalog.int8, c.relowner::pg_catalog.int8, c.relispartition, p.list, (
		SELECT pg_catalog.json_agg(pg_catalog.json_build_array(x.grantee::pg_catalog.int8, x.privilege_type) ORDER BY x.grantee, x.privilege_type)
		FROM pg_catalog.aclexplode(COALESCE(c.relacl, pg_catalog.acldefault(
			CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'S' THEN 's'::pg_catalog."char" ELSE 'r'::pg_catalog."char" END, c.relowner))) AS x))::pg_catalog.text
	FROM pg_catalog.pg_class AS c
	JOIN schemas AS s ON s.oid OPERATOR(pg_catalog.=) c.relnamespace
	LEFT JOIN parents AS p ON p.inhrelid OPERATOR(pg_catalog.=) c.oid
	WHERE NOT s.system AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f,S}'::pg_catalog."char"[])
UNION ALL
SELECT 12, d.oid::pg_catalog.int8, pg_catalog.json_build_array(d.adrelid::pg_catalog.int8, a.attname, pg_catalog.pg_get_expr(d.adbin, d.adrelid), (
		SELECT pg_catalog.json_agg(q.oid::pg_catalog.int8 ORDER BY q.oid)
		FROM pg_catalog.pg_depend AS x
		JOIN pg_catalog.pg_class AS q ON q.oid OPERATOR(pg_catalog.=) x.refobjid
		WHERE x.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND x.objid OPERATOR(pg_catalog.=) d.oid
			AND x.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
			AND q.relkind OPERATOR(pg_catalog.=) 'S'))::pg_catalog.text
	FROM pg_catalog.pg_attrdef AS d
	JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) d.adrelid AND a.attnum OPERATOR(pg_catalog.=) d.adnum
	JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) d.adrelid
	JOIN schemas AS s ON s.oid OPERATOR(pg_catalog.=) c.relnamespace
	WHERE NOT s.system AND a.attgenerated OPERATOR(pg_catalog.=) ''
UNION ALL
SELECT 13, c.oid::pg_catalog.int8, pg_catalog.json_build_array(a.attrelid::pg_catalog.int8, a.attname)::pg_catalog.text
	FROM pg_catalog.pg_attribute AS a
	JOIN pg_catalog.pg_collation AS l ON l.oid OPERATOR(pg_catalog.=) a.attcollation
	JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) a.attrelid
	JOIN schemas AS s ON s.oid OPERATOR(pg_catalog.=) c.relnamespace
	WHERE NOT s.system AND NOT l.collisdeterministic
UNION ALL
SELECT 14, i.indexrelid::pg_catalog.int8, pg_catalog.json_build_array(i.indrelid::pg_catalog.int8, s.nspname, c.relname, m.amname,
		i.indisunique OR i.indisexclusion, i.indisvalid, i.indpred IS NOT NULL, (
		SELECT pg_catalog.json_agg(COALESCE(a.attname, '') ORDER BY k.position)
		FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k(attnum, position)
		LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid AND a.attnum OPERATOR(pg_catalog.=) k.attnum
		WHERE k.position OPERATOR(pg_catalog.<=) i.indnkeyatts))::pg_catalog.text
	FROM pg_catalog.pg_index AS i
	JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
	JOIN pg_catalog.pg_am AS m ON m.oid OPERATOR(pg_catalog.=) c.relam
	JOIN schemas AS s ON s.oid OPERATOR(pg_catalog.=) c.relnamespace
	WHERE NOT s.system
UNION ALL
SELECT 15, p.oid::pg_catalog.int8, pg_catalog.json_build_array(p.polrelid::pg_catalog.int8, p.polname, p.polpermissive, p.polcmd,
		p.polroles::pg_catalog.int8[], pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))::pg_catalog.text
	FROM pg_catalog.pg_policy AS p
UNION ALL
SELECT 16, f.oid::pg_catalog.int8, pg_catalog.json_build_array(f.conrelid::pg_catalog.int8, f.confrelid::pg_catalog.int8, f.conname, (
		SELECT pg_catalog.json_agg(a.attname ORDER BY a.attnum) FROM pg_catalog.pg_attribute AS a
		WHERE a.attrelid OPERATOR(pg_catalog.=) f.conrelid AND a.attnum OPERATOR(pg_catalog.=) ANY (f.conkey)))::pg_catalog.text
	FROM pg_catalog.pg_constraint AS f
	WHERE f.contype OPERATOR(pg_catalog.=) 'f'`

// orderClause ends the statement: equal databases give equal rows.
const orderClause = `
ORDER BY 1, 2`
