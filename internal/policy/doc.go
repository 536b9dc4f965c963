// Package policy decides by an organisation's own rules who may use a product.
//
// A Policy is a typed YAML file (docs/policy.md). Decide takes it, one or more
// reports of a product, and facts on origin, and gives a decision for one data
// level. It is pure: no clock, no network, no files; the same inputs give the
// same decision.
//
// Data flows one way: decode (YAML with positions) -> Load (checks, compiled
// expressions) -> case (parts, facts and doors, indexed) -> rules, each to an
// outcome -> combine -> explain.
//
// Three laws hold, and property tests show each: what is not known never helps
// a product (removing all facts on one question never moves a decision toward
// admit); countries are names and nothing else (renaming them in facts and
// lists alike changes nothing); order never matters.
//
// To that end a value that may be anything is an interval, combining is
// three-valued (Kleene), refusal overrides, and the default is refuse.
package policy
