package catalog

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// With a seal the setting holds a token that only the proxy can make, and
// policies read the tenant from a function that verifies it:
//
//	process:time:mac:tenant
//
// The process is the server's, so that a token is good on one connection. The
// time is the server's in seconds. The mac is HMAC-SHA256, in hexadecimal
// digits, over process:time:tenant, where the tenant may hold any character.
const (
	sealSchema   = "tenantgate"
	sealTable    = "seal"
	sealFunction = "tenant"

	// sealCall is how policies read the tenant.
	sealCall = sealSchema + "." + sealFunction + "()"

	// SealSeconds is how much older than its transaction, or ahead of the
	// server's clock, a token may be.
	SealSeconds = 60

	// sealBlock is the block length of SHA-256.
	sealBlock = 64
)

// errNoSealKey is a database without a key where none is given either.
var errNoSealKey = errors.New("policies are to verify the setting's seal, and there is no key for it")

// A SealKey is the secret that tokens are made with. It is not printed.
type SealKey [32]byte

// ParseSealKey reads 64 hexadecimal digits. The error does not repeat them.
func ParseSealKey(text string) (SealKey, error) {
	var k SealKey
	b, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(b) != len(k) {
		return k, fmt.Errorf("a key is %d hexadecimal digits", 2*len(k))
	}
	copy(k[:], b)
	return k, nil
}

// String hides the key.
func (SealKey) String() string { return "[redacted]" }

// GoString hides the key.
func (SealKey) GoString() string { return "[redacted]" }

// Token seals a tenant's key for one server process and one moment of its
// clock.
func (k SealKey) Token(tenant string, process uint32, at time.Time) string {
	head := strconv.FormatUint(uint64(process), 10) + ":" + strconv.FormatInt(at.Unix(), 10) + ":"
	mac := hmac.New(sha256.New, k[:])
	mac.Write([]byte(head + tenant))
	return head + hex.EncodeToString(mac.Sum(nil)) + ":" + tenant
}

// pads are the blocks that HMAC hashes first: with them in the table, the
// function needs no arithmetic on bytes, which PostgreSQL does not have.
func (k SealKey) pads() (inner, outer string) {
	var i, o [sealBlock]byte
	copy(i[:], k[:])
	copy(o[:], k[:])
	for n := range sealBlock {
		i[n] ^= 0x36
		o[n] ^= 0x5c
	}
	return hex.EncodeToString(i[:]), hex.EncodeToString(o[:])
}

// CheckSeal has the server verify a token made with the key. An error is the
// server's answer that it does not, or that it cannot be asked.
func CheckSeal(ctx context.Context, q Querier, setting string, key SealKey) error {
	const probe = "a:probe"
	rows, err := q.Query(ctx, "SELECT pg_catalog.pg_backend_pid(), pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())::pg_catalog.int8")
	if err != nil {
		return fmt.Errorf("read the server's clock: %w", err)
	}
	process, at, err := processAndTime(rows)
	if err != nil {
		return err
	}
	rows, err = q.Query(ctx, "SELECT CASE WHEN pg_catalog.set_config($1, $2, true) IS NOT NULL THEN "+sealCall+" END", setting, key.Token(probe, process, at))
	if err != nil {
		return fmt.Errorf("verify a token: %w", err)
	}
	if len(rows) != 1 || len(rows[0]) != 1 || rows[0][0] == nil || *rows[0][0] != probe {
		return errors.New("verify a token: " + sealCall + " answers with another tenant")
	}
	return nil
}

func processAndTime(rows [][]*string) (process uint32, at time.Time, err error) {
	if len(rows) != 1 || len(rows[0]) != 2 || rows[0][0] == nil || rows[0][1] == nil {
		return 0, time.Time{}, errors.New("read the server's clock: a row is not of the form that was asked for")
	}
	pid, err := strconv.ParseUint(*rows[0][0], 10, 32)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("read the server's process: %w", err)
	}
	seconds, err := strconv.ParseInt(*rows[0][1], 10, 64)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("read the server's clock: %w", err)
	}
	return uint32(pid), time.Unix(seconds, 0), nil
}

// Seal tells what is missing of the function that verifies tokens, of the
// table with its key, and of the role's way there. The key itself cannot be
// looked at: it is written if cfg has one. s must be loaded with
// Config.Inspect.
func Seal(s *Snapshot, cfg BootstrapConfig) ([]DDL, error) {
	if s.data.inspection == nil {
		return nil, ErrNotInspected
	}
	p := planner{s: s, cfg: cfg, in: s.data.inspection}
	if state, ok := p.in.roles[cfg.Role]; ok {
		p.roleOID = state.oid
	}
	if err := p.seal(); err != nil {
		return nil, err
	}
	return p.plan, nil
}

// seal makes the function and what it needs.
func (p *planner) seal() error {
	schema, table := quoteName(sealSchema), sealSchema+"."+sealTable
	have, ok := p.in.schemas[sealSchema]
	if !ok {
		p.add("a schema for the seal of the tenant setting", "CREATE SCHEMA IF NOT EXISTS "+schema)
	}
	if r, ok := p.s.relations[Name{sealSchema, sealTable}]; !ok {
		if p.cfg.SealKey == nil {
			return errNoSealKey
		}
		p.add("the seal's key, as the two blocks that HMAC-SHA256 begins with", "CREATE TABLE IF NOT EXISTS "+table+
			" (one boolean PRIMARY KEY DEFAULT true CHECK (one), inner_pad bytea NOT NULL CHECK (octet_length(inner_pad) = 64),"+
			" outer_pad bytea NOT NULL CHECK (octet_length(outer_pad) = 64))")
		p.add("nobody but the owner reads the key, whatever privileges new tables have by default",
			"REVOKE ALL ON TABLE "+table+" FROM PUBLIC, "+quoteName(p.cfg.Role))
	} else if grants := p.in.of(r.OID).grants; grants.of(public) != nil {
		p.add("nobody but the owner reads the key", "REVOKE ALL ON TABLE "+table+" FROM PUBLIC")
	}
	if p.cfg.SealKey != nil {
		inner, outer := p.cfg.SealKey.pads()
		p.add("the key that the configuration has", "INSERT INTO "+table+" (inner_pad, outer_pad) VALUES (decode('"+inner+"', 'hex'), decode('"+outer+
			"', 'hex')) ON CONFLICT (one) DO UPDATE SET inner_pad = excluded.inner_pad, outer_pad = excluded.outer_pad")
	}
	f := p.in.seal
	if f == nil || !f.verifies(p.cfg.Setting) {
		p.add("what policies read the tenant from: it verifies the seal", "CREATE OR REPLACE FUNCTION "+sealCall+
			" RETURNS text LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS "+quoteBody(sealBody(p.cfg.Setting)))
	}
	if f == nil || !f.grants[grant{public, "EXECUTE"}] {
		p.add("policies are evaluated as whoever runs the statement", "GRANT EXECUTE ON FUNCTION "+sealCall+" TO PUBLIC")
	}
	p.grant("SCHEMA "+schema, have, []string{"USAGE"}, "the proxy finds out whether its key is the database's")
	return nil
}

// sealBody is the function's. A token that is not the proxy's has another mac;
// only what has the right one is looked into.
func sealBody(setting string) string {
	const refuse = `
		RAISE EXCEPTION 'no valid tenant on this connection' USING ERRCODE = 'insufficient_privilege';`
	return fmt.Sprintf(`
DECLARE
	token text := current_setting(%s, true);
	process text := split_part(token, ':', 1);
	issued text := split_part(token, ':', 2);
	mac text := split_part(token, ':', 3);
	tenant text := substr(token, length(process) + length(issued) + length(mac) + 4);
	seal tenantgate.seal;
BEGIN
	SELECT * INTO seal FROM tenantgate.seal;
	IF encode(sha256(seal.outer_pad || sha256(seal.inner_pad || convert_to(process || ':' || issued || ':' || tenant, 'UTF8'))), 'hex') IS DISTINCT FROM mac
		OR process IS DISTINCT FROM pg_backend_pid()::text THEN%[2]s
	END IF;
	IF issued::float8 NOT BETWEEN date_part('epoch', now()) - %[3]d AND date_part('epoch', clock_timestamp()) + %[3]d THEN%[2]s
	END IF;
	RETURN tenant;
END
`, quoteLiteral(setting), refuse, SealSeconds)
}

// A sealState is the function as the database has it.
type sealState struct {
	language, volatility, parallel, body string
	returnsText, definer                 bool
	settings                             []string
	grants                               grants
}

// verifies reports whether the function is the one of sealBody.
func (f *sealState) verifies(setting string) bool {
	return f.language == "plpgsql" && f.returnsText && f.definer && f.volatility == "s" && f.parallel == "r" &&
		slices.Equal(f.settings, []string{"search_path=pg_catalog, pg_temp"}) && f.body == sealBody(setting)
}

// shownSealCall is sealCall as pg_get_expr writes it.
func (p *planner) shownSealCall() string {
	for _, schema := range p.s.path {
		if schema == sealSchema {
			return sealFunction + "()"
		}
		if slices.ContainsFunc(p.s.functions[sealFunction], func(f Function) bool { return f.Schema == schema && f.Args == 0 }) {
			break
		}
	}
	return sealCall
}

// sealQuery reads the function. It continues inspectQuery.
const sealQuery = `
UNION ALL
SELECT 20, p.oid::pg_catalog.int8, pg_catalog.json_build_array(l.lanname, p.provolatile, p.proparallel, p.prosrc,
		p.prorettype OPERATOR(pg_catalog.=) 25::pg_catalog.oid, p.prosecdef, p.proconfig, (
		SELECT pg_catalog.json_agg(pg_catalog.json_build_array(x.grantee::pg_catalog.int8, x.privilege_type) ORDER BY x.grantee, x.privilege_type)
		FROM pg_catalog.aclexplode(COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner))) AS x))::pg_catalog.text
	FROM pg_catalog.pg_proc AS p
	JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
	JOIN pg_catalog.pg_language AS l ON l.oid OPERATOR(pg_catalog.=) p.prolang
	WHERE n.nspname OPERATOR(pg_catalog.=) 'tenantgate' AND p.proname OPERATOR(pg_catalog.=) 'tenant' AND p.pronargs OPERATOR(pg_catalog.=) 0
		AND p.prokind OPERATOR(pg_catalog.=) 'f'`
