// Package oracle holds jsontext to another reader of JSON that is as strict, go-json-experiment's. It is a module of its
// own, so that the module it tests depends on nothing for it.
package oracle
