package main

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"tenantgate/proxy"
	"tenantgate/rewrite/catalog"
)

var (
	settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)+$`)
	tableWords  = []choice[catalog.Class]{
		{"shared", catalog.Shared},
		{"shared-rw", catalog.SharedReadWrite},
		{"denied", catalog.Denied},
		{"{column: name}", catalog.Tenanted}, // a mapping, which is read apart
	}
)

func (r *configReader) tenancy(v value) {
	t := &r.cfg.Tenancy
	v.mapping(
		field{"enforce", false, func(v value) {
			if e, ok := choose(v, enforcements()...); ok {
				t.Enforce = e
			}
		}},
		field{"setting", false, func(v value) {
			text, ok := v.text()
			if !ok {
				return
			}
			if !settingName.MatchString(text) || len(text) > maxNameBytes || strings.HasPrefix(strings.ToLower(text), "tenantgate.") {
				v.problem("%q is no name for the setting; allowed: prefix.name of letters, digits and _, with another prefix than tenantgate", v.node.Value)
				return
			}
			t.Setting = strings.ToLower(text)
		}},
		field{"column", false, func(v value) { readColumn(v, &t.Column) }},
		field{"tables", false, func(v value) { t.Tables = readTables(v) }},
		field{"unlisted", false, func(v value) {
			t.UnlistedShared, _ = choose(v, choice[bool]{"denied", false}, choice[bool]{"shared", true})
		}},
		field{"functions", false, func(v value) {
			v.mapping(
				field{"allow", false, func(v value) { t.AllowFunctions = readNames(v) }},
				field{"deny", false, func(v value) { t.DenyFunctions = readNames(v) }},
			)
			for _, name := range t.DenyFunctions {
				if slices.Contains(t.AllowFunctions, name) {
					v.problem("function %s is allowed and denied", name)
				}
			}
		}},
		field{"seal", false, func(v value) {
			r.seal = v
			t.Seal, _ = v.boolean()
		}},
		field{"seal_key", false, func(v value) { r.readSealKey(v) }},
		field{"temp_tables", false, func(v value) { t.TempTables, _ = v.boolean() }},
		field{"explain", false, func(v value) { t.Explain, _ = v.boolean() }},
		field{"acknowledge", false, func(v value) { t.Acknowledge = readFindings(v) }},
		field{"observe", false, func(v value) { t.Observe, _ = v.boolean() }},
	)
}

func enforcements() []choice[proxy.Enforcement] {
	var all []choice[proxy.Enforcement]
	for _, e := range []proxy.Enforcement{proxy.RLS, proxy.Rewrite, proxy.Both} {
		all = append(all, choice[proxy.Enforcement]{e.String(), e})
	}
	return all
}

// readName reads [schema.]name as SQL has it.
func readName(v value) (catalog.Name, bool) {
	text, ok := v.text()
	if !ok {
		return catalog.Name{}, false
	}
	return parseName(v, text)
}

// parseName reads text that v gave.
func parseName(v value, text string) (catalog.Name, bool) {
	name, err := catalog.ParseName(text)
	if err == nil {
		return name, true
	}
	if text == v.node.Value {
		v.problem("%s", err)
	} else {
		v.problem("%q is no name", v.node.Value)
	}
	return catalog.Name{}, false
}

func readColumn(v value, dst *string) {
	name, ok := readName(v)
	if !ok {
		return
	}
	if name.Schema != "" {
		v.problem("%s is a column's name alone, without dots", v.key())
		return
	}
	*dst = name.Name
}

func readTables(v value) (rules []catalog.TableRule) {
	v.entries(func(key, val value) {
		name, ok := parseName(key, key.node.Value)
		if !ok {
			return
		}
		if slices.ContainsFunc(rules, func(other catalog.TableRule) bool { return other.Name == name }) {
			key.problem("table %s is there twice", name)
			return
		}
		rule := catalog.TableRule{Name: name, Class: catalog.Tenanted}
		if val.node.Kind == yaml.MappingNode {
			val.as("table %s", name).mapping(field{"column", true, func(v value) { readColumn(v, &rule.Column) }})
		} else if rule.Class, ok = choose(val.as("class of table %s", name), tableWords...); !ok {
			return
		}
		rules = append(rules, rule)
	})
	return rules
}

// readNames reads a list of functions, none twice.
func readNames(v value) (names []catalog.Name) {
	v.list(func(item value) {
		name, ok := readName(item)
		switch {
		case !ok:
		case slices.Contains(names, name):
			item.problem("function %s is there twice", name)
		default:
			names = append(names, name)
		}
	})
	return names
}

// findingName is check:object.
var findingName = regexp.MustCompile(`^[a-z][a-z-]*:.`)

// readFindings reads names of the doctor's findings, none twice.
func readFindings(v value) (names []string) {
	v.list(func(item value) {
		name, ok := item.text()
		switch {
		case !ok:
		case !findingName.MatchString(name):
			item.problem("%q is no finding's name; tenantgate doctor prints them, as fk-without-tenant:public.lines", item.node.Value)
		case slices.Contains(names, name):
			item.problem("finding %s is there twice", name)
		default:
			names = append(names, name)
		}
	})
	return names
}
