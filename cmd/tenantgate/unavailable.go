package main

import "go.yaml.in/yaml/v3"

// unavailable lists the keys that the configuration has and this version does
// not act on, with what to do instead. Setting one is an error, so that nobody
// relies on what is not there. A path is written as value.path is.
var unavailable = map[string]string{
	"registry":         "leave it out; list tenants and logins in this file",
	"tenants[].schema": "leave it out; give the tenant a key, or a database of its own",
}

// refuseUnavailable adds a problem if the value asks for something that this
// version does not have.
func (v value) refuseUnavailable() {
	instead, listed := unavailable[v.path]
	if !listed || v.node.Tag == "!!bool" && v.node.Value == "false" {
		return
	}
	if v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
		return
	}
	v.problem("%s is not available in this version; %s", v.key(), instead)
}
